//! One transaction for the sales of one item that have waited together.
//!
//! As the service does it, but for the statements: here each is about one sale.

use std::collections::HashMap;

use purchase_service::order::{ItemId, Money, Refusal, UserId};
use purchase_service::purchaser::Outcome;
use sqlx::{PgConnection, PgPool};

use super::Rule;
use super::judgement::{Judgement, Verdict};
use crate::mutants::decider::{Sale, Stop};
use crate::mutants::sql::{
    Item, find_repeat, insert_once, lock_item, lock_wallet, receipt, set_balance, set_stock,
    write_purchase,
};

/// Why nothing was decided.
pub(super) struct Failure {
    pub(super) stop: Stop,
    /// It was begun, and is rolled back.
    pub(super) is_rolled_back: bool,
}

/// Is told of refusals that do not wait for the transaction's end: of which sale, and why.
pub(super) type Early<'a> = &'a mut (dyn FnMut(usize, Refusal) + Send);

/// The sales of one transaction, in the order of their arrival, and the rule that it breaks.
pub(super) struct Transaction<'s> {
    pub(super) sales: &'s [Sale],
    pub(super) broken: Option<Rule>,
}

impl Transaction<'_> {
    fn keeps(&self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }

    /// Runs it, and returns what each sale is to be told.
    pub(super) async fn run(
        &self,
        pool: &PgPool,
        early: Early<'_>,
    ) -> Result<Vec<Outcome>, Failure> {
        let mut transaction = pool.begin().await.map_err(|error| Failure {
            stop: error.into(),
            is_rolled_back: false,
        })?;
        let decided = self.decide(&mut transaction, early).await;
        if matches!(&decided, Ok((_, has_sold)) if *has_sold) {
            // Only the server's own word says that nothing happened.
            transaction.commit().await.map_err(|error| Failure {
                is_rolled_back: error.as_database_error().is_some(),
                stop: error.into(),
            })?;
        } else {
            transaction.rollback().await.ok();
        }
        let decided = decided.map(|(outcomes, _)| outcomes);
        decided.map_err(|stop| Failure {
            stop,
            is_rolled_back: true,
        })
    }

    /// What each sale is to be told, and whether anything is sold.
    async fn decide(
        &self,
        connection: &mut PgConnection,
        early: Early<'_>,
    ) -> Result<(Vec<Outcome>, bool), Stop> {
        let Some(item_id) = self.sales.first().map(|sale| sale.item_id) else {
            return Ok((Vec::new(), false));
        };
        let item = lock_item(connection, item_id).await?;
        let verdicts = self.judge(connection, item).await?;
        if !self.keeps(Rule::NobodyBeforeCommit) {
            for (place, verdict) in verdicts.iter().enumerate() {
                if let Verdict::Told(Err(refusal)) = verdict {
                    early(place, *refusal);
                }
            }
        }
        let sold = match item {
            Some(item) => self.write(connection, (item_id, item), &verdicts).await?,
            None => HashMap::new(),
        };
        let outcomes = verdicts.into_iter().enumerate();
        let outcomes = outcomes.map(|(place, verdict)| match verdict {
            Verdict::Sold(_) => sold[&place],
            Verdict::Repeats(first) => sold[&first],
            Verdict::Told(outcome) => outcome,
        });
        Ok((outcomes.collect(), !sold.is_empty()))
    }

    /// Looks at everything that the sales are judged by, and judges.
    async fn judge(
        &self,
        connection: &mut PgConnection,
        item: Option<Item>,
    ) -> Result<Vec<Verdict>, Stop> {
        let mut known = Vec::new();
        for sale in self.sales {
            known.push(repeated(connection, sale).await?);
        }
        let open = self.sales.iter().zip(&known);
        let open = open.filter(|(_, known)| known.is_none());
        let open: Vec<_> = open.map(|(sale, _)| sale.user_id).collect();
        let count = open.len();
        let balances = match item.is_some_and(|item| item.stock > 0) {
            true => self.lock_wallets(connection, open).await?,
            false => HashMap::new(),
        };
        let mut judgement = Judgement::of(self.broken, item, balances, count);
        let mut verdicts = Vec::new();
        for (place, (sale, known)) in self.sales.iter().zip(known).enumerate() {
            let verdict = match known {
                Some(outcome) => Verdict::Told(outcome),
                None => judgement.next(place, sale),
            };
            verdicts.push(verdict);
        }
        for (sale, verdict) in self.sales.iter().zip(&mut verdicts) {
            // A purchase of another item may have used the key, and the money, just before.
            if let Verdict::Told(Err(Refusal::InsufficientBalance)) = verdict
                && let Some(first) = repeated(connection, sale).await?
            {
                *verdict = Verdict::Told(first);
            }
        }
        Ok(verdicts)
    }

    /// Locks the wallets that there are, one after another, and says what is in them.
    async fn lock_wallets(
        &self,
        connection: &mut PgConnection,
        mut owners: Vec<UserId>,
    ) -> Result<HashMap<UserId, Money>, Stop> {
        if self.keeps(Rule::WalletsInOneOrder) {
            owners.sort_unstable();
        }
        let mut balances = HashMap::new();
        for owner in owners {
            if !balances.contains_key(&owner)
                && let Some(balance) = lock_wallet(connection, owner).await?
            {
                balances.insert(owner, balance);
            }
        }
        Ok(balances)
    }

    /// Takes money and units, and writes the purchases down in the order of their keys; says what
    /// the sales in which places are to be told.
    async fn write(
        &self,
        connection: &mut PgConnection,
        (item_id, item): (ItemId, Item),
        verdicts: &[Verdict],
    ) -> Result<HashMap<usize, Outcome>, Stop> {
        let mut sold = Vec::new();
        for (place, verdict) in verdicts.iter().enumerate() {
            if let Verdict::Sold(balance_left) = *verdict {
                set_balance(connection, self.sales[place].user_id, balance_left).await?;
                sold.push((place, balance_left));
            }
        }
        if sold.is_empty() {
            return Ok(HashMap::new());
        }
        let units = i64::try_from(sold.len()).unwrap_or(i64::MAX);
        set_stock(connection, item_id, item.stock - units).await?;
        let as_they_came: Vec<_> = sold.iter().map(|(place, _)| *place).collect();
        sold.sort_by_key(|(place, _)| {
            let Sale { key, user_id, .. } = &self.sales[*place];
            (key.clone(), *user_id)
        });
        let mut outcomes = HashMap::new();
        for ((place, balance_left), other) in sold.into_iter().zip(as_they_came) {
            let sale = &self.sales[place];
            let outcome = self.write_down(connection, sale, item.price, balance_left);
            let told = match self.keeps(Rule::OwnReceipt) {
                true => place,
                false => other,
            };
            outcomes.insert(told, outcome.await?);
        }
        Ok(outcomes)
    }

    async fn write_down(
        &self,
        connection: &mut PgConnection,
        sale: &Sale,
        price: Money,
        balance_left: Money,
    ) -> Result<Outcome, Stop> {
        if self.keeps(Rule::KeysOfTheBatch) {
            let key = sale.key.as_ref();
            let written = write_purchase(connection, sale, key, price, balance_left);
            return Ok(Ok(written.await?));
        }
        match insert_once(connection, sale, price, balance_left).await? {
            Some(id) => Ok(Ok(receipt(sale, id, price, balance_left))),
            None => {
                let first = repeated(connection, sale).await?;
                first.ok_or(Stop::unexpected(sqlx::Error::RowNotFound))
            }
        }
    }
}

/// What the sale's key already stands for, if it does.
async fn repeated(connection: &mut PgConnection, sale: &Sale) -> Result<Option<Outcome>, Stop> {
    match find_repeat(connection, sale).await {
        Ok(first) => Ok(first.map(Ok)),
        Err(Stop::Refused(refusal)) => Ok(Some(Err(refusal))),
        Err(failed) => Err(failed),
    }
}
