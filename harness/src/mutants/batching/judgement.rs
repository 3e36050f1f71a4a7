//! Who gets what of the rows that a transaction has locked, one sale after another. Pure.

use std::collections::HashMap;

use purchase_service::order::{IdempotencyKey, Money, Refusal, UserId};
use purchase_service::purchaser::Outcome;

use super::Rule;
use crate::mutants::decider::Sale;
use crate::mutants::sql::Item;

/// What becomes of one sale.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict {
    /// It is made, and this is left in the wallet.
    Sold(Money),
    /// It repeats the purchase of the sale in this place.
    Repeats(usize),
    /// Nothing is done for it.
    Told(Outcome),
}

/// The rows as they fall, and which sale was made under which key.
pub(super) struct Judgement<'s> {
    broken: Option<Rule>,
    item: Option<Item>,
    /// Units that must be there for a sale.
    needed: i64,
    balances: HashMap<UserId, Money>,
    keys: HashMap<&'s IdempotencyKey, (UserId, usize)>,
}

impl<'s> Judgement<'s> {
    /// Before the first of `open` sales, which are all that repeat nothing.
    pub(super) fn of(
        broken: Option<Rule>,
        item: Option<Item>,
        balances: HashMap<UserId, Money>,
        open: usize,
    ) -> Self {
        let needed = match broken {
            Some(Rule::StockFalls) => i64::try_from(open).unwrap_or(i64::MAX),
            _ => 1,
        };
        Judgement {
            broken,
            item,
            needed,
            balances,
            keys: HashMap::new(),
        }
    }

    /// Judges the next sale, and takes what it takes.
    pub(super) fn next(&mut self, place: usize, sale: &'s Sale) -> Verdict {
        match sale.key.as_ref().and_then(|key| self.keys.get(key)) {
            Some((buyer, first)) if *buyer == sale.user_id => return Verdict::Repeats(*first),
            Some(_) => return Verdict::Told(Err(Refusal::KeyReused)),
            None => {}
        }
        match self.sell(sale) {
            Ok(balance_left) => {
                self.take(place, sale, balance_left);
                Verdict::Sold(balance_left)
            }
            Err(refusal) => Verdict::Told(Err(refusal)),
        }
    }

    fn sell(&self, sale: &Sale) -> Result<Money, Refusal> {
        let item = self.item.ok_or(Refusal::UnknownItem)?;
        if item.stock < self.needed {
            return Err(Refusal::OutOfStock);
        }
        item.pay(self.balances.get(&sale.user_id).copied())
    }

    fn take(&mut self, place: usize, sale: &'s Sale, balance_left: Money) {
        let keeps = |rule| self.broken != Some(rule);
        if let Some(item) = self.item.as_mut().filter(|_| keeps(Rule::StockFalls)) {
            item.stock -= 1;
        }
        if keeps(Rule::BalancesFall) {
            self.balances.insert(sale.user_id, balance_left);
        }
        if let Some(key) = sale.key.as_ref().filter(|_| keeps(Rule::KeysOfTheBatch)) {
            self.keys.insert(key, (sale.user_id, place));
        }
    }
}
