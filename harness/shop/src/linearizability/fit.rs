//! Whether an answer is right of a state, can become right, or never will be.
//!
//! The model's judgement in dense form, with one thing more: stock and balances only fall and a
//! used key stays used, so that for a wrong answer it is often known that waiting cannot help.
//! A final row is a floor that no purchase may go below.

use purchase_service::order::Refusal;

use super::part::{Claim, Op, Part};
use crate::model::Observed;

/// What the shop holds after some operations of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) stock: Vec<i64>,
    pub(super) balance: Vec<i64>,
    /// Who bought what under each used key, and the balance that this left.
    pub(super) keys: Vec<Option<Used>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Used {
    user: usize,
    item: usize,
    pub(super) left: i64,
}

/// How an answer stands to a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Right, and nothing changes: a refusal, or the repeat of a purchase.
    Seen,
    /// Right, and a unit is bought.
    Buys,
    /// Wrong now; purchases may make it right.
    Later,
    /// Wrong, whatever comes.
    Never,
}

impl State {
    pub(super) fn new(part: &Part) -> State {
        let stock = part
            .items
            .iter()
            .map(|goods| goods.row.map_or(0, |(_, stock)| stock));
        let balance = part.wallets.iter().map(|purse| purse.balance.unwrap_or(0));
        State {
            stock: stock.collect(),
            balance: balance.collect(),
            keys: vec![None; part.keys.len()],
        }
    }

    /// How a certain operation's answer stands to this state.
    pub(super) fn fit(&self, part: &Part, op: &Op) -> Fit {
        if let Some(used) = op.key.and_then(|key| self.keys[key]) {
            return repeat(part, op, used);
        }
        match op.claim {
            Claim::Unknown => Fit::Later,
            Claim::Refused(Observed::For(refusal)) => self.refused(part, op, refusal),
            Claim::Refused(Observed::ForSomeReason) => self.refused_somehow(part, op),
            Claim::Bought { price, left } => {
                let costs = part.price(op);
                if !self.can_buy(part, op) || price.is_some_and(|price| price != costs) {
                    return Fit::Never;
                }
                let leaves = self.balance[op.user] - costs;
                match left {
                    Some(left) if left > leaves => Fit::Never,
                    Some(left) if left < leaves => Fit::Later,
                    _ => Fit::Buys,
                }
            }
        }
    }

    /// A final row that rules the answer out for good, as an item's that is not 0, says so sooner;
    /// to wait for it in vain would come to the same.
    fn refused(&self, part: &Part, op: &Op, refusal: Refusal) -> Fit {
        let (goods, purse) = (&part.items[op.item], &part.wallets[op.user]);
        let Some((price, _)) = goods.row else {
            return match refusal {
                Refusal::UnknownItem => Fit::Seen,
                Refusal::KeyReused => Fit::Later,
                _ => Fit::Never,
            };
        };
        let in_stock = self.stock[op.item] > 0;
        let balance = purse.balance.map(|_| self.balance[op.user]);
        match (refusal, balance) {
            (Refusal::KeyReused, _) => Fit::Later,
            (Refusal::OutOfStock, _) if !in_stock => Fit::Seen,
            (Refusal::OutOfStock, _) if goods.floor.is_none_or(|floor| floor <= 0) => Fit::Later,
            (Refusal::UnknownUser, None) if in_stock => Fit::Seen,
            (Refusal::InsufficientBalance, Some(balance)) if in_stock => {
                if balance < price {
                    Fit::Seen
                } else if purse.floor.is_none_or(|floor| floor < price) {
                    Fit::Later
                } else {
                    Fit::Never
                }
            }
            _ => Fit::Never,
        }
    }

    /// The same of a refusal that tells no reason: it is right wherever the shop would not sell, and
    /// waits for the stock, the balance or another order under its key.
    fn refused_somehow(&self, part: &Part, op: &Op) -> Fit {
        let (goods, purse) = (&part.items[op.item], &part.wallets[op.user]);
        let (Some((price, _)), Some(_)) = (goods.row, purse.balance) else {
            return Fit::Seen;
        };
        if self.stock[op.item] <= 0 || self.balance[op.user] < price {
            return Fit::Seen;
        }
        let can_sell_out = goods.floor.is_none_or(|floor| floor <= 0);
        let can_grow_poor = purse.floor.is_none_or(|floor| floor < price);
        match can_sell_out || can_grow_poor || op.key.is_some() {
            true => Fit::Later,
            false => Fit::Never,
        }
    }

    /// Whether the shop would sell, and no final row speaks against it.
    pub(super) fn can_buy(&self, part: &Part, op: &Op) -> bool {
        let (goods, purse) = (&part.items[op.item], &part.wallets[op.user]);
        let (Some((price, _)), Some(_)) = (goods.row, purse.balance) else {
            return false;
        };
        op.key.is_none_or(|key| self.keys[key].is_none())
            && self.stock[op.item] > goods.floor.unwrap_or(0).max(0)
            && self.balance[op.user] >= price
            && self.balance[op.user] - price >= purse.floor.unwrap_or(0)
    }

    pub(super) fn buy(&mut self, part: &Part, op: &Op) {
        self.stock[op.item] -= 1;
        self.balance[op.user] -= part.price(op);
        if let Some(key) = op.key {
            self.keys[key] = Some(Used {
                user: op.user,
                item: op.item,
                left: self.balance[op.user],
            });
        }
    }

    pub(super) fn give_back(&mut self, part: &Part, op: &Op) {
        self.stock[op.item] += 1;
        self.balance[op.user] += part.price(op);
        if let Some(key) = op.key {
            self.keys[key] = None;
        }
    }
}

/// How an answer stands to the purchase that its key already stands for.
fn repeat(part: &Part, op: &Op, used: Used) -> Fit {
    let same_order = (used.user, used.item) == (op.user, op.item);
    let is_right = match op.claim {
        Claim::Bought { price, left } => {
            same_order
                && price.is_none_or(|price| price == part.price(op))
                && left.is_none_or(|left| left == used.left)
        }
        Claim::Refused(Observed::For(refusal)) => refusal == Refusal::KeyReused && !same_order,
        Claim::Refused(Observed::ForSomeReason) => !same_order,
        Claim::Unknown => false,
    };
    if is_right { Fit::Seen } else { Fit::Never }
}
