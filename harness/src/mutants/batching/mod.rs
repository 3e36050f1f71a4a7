//! Orders of one item that wait together share a transaction: what the mutants are built on that
//! break one [`Rule`] of it. Without a broken rule it is right.
//!
//! Who shares with whom says the service's own `combiner`.

mod judgement;
mod transaction;

pub(super) mod anothers_receipt;
pub(super) mod balance_judged_apart;
pub(super) mod batch_fails_as_one;
pub(super) mod dropped_by_its_leader;
pub(super) mod key_in_one_batch;
pub(super) mod refusal_before_commit;
pub(super) mod stock_for_the_whole_batch;
pub(super) mod wallets_as_they_come;

use std::num::NonZeroUsize;
use std::sync::Arc;

use combiner::{Combiner, Lead};
use futures::future::{BoxFuture, FutureExt};
use purchase_service::order::{IdempotencyKey, ItemId, Order};
use purchase_service::purchaser::{Outcome, PurchaseError, Purchaser};
use sqlx::PgPool;
use tokio::sync::oneshot;

use self::transaction::{Failure, Transaction};
use super::decider::{Decision, Sale, Stop, answer, in_place};
use super::lawful::retry::retry;
use crate::shop::BuildPurchaser;
use crate::target::{Keys, OnConflict};

/// What makes it right that several purchases share a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Every transaction locks its wallets in the order of their ids.
    WalletsInOneOrder,
    /// Nobody is answered before the COMMIT is, refusals included.
    NobodyBeforeCommit,
    /// What has failed together is tried again one by one.
    FailedAreTriedAlone,
    /// An order is judged by the stock that those before it have left.
    StockFalls,
    /// An order is judged by the balance that those before it have left.
    BalancesFall,
    /// A key may be another's in the same batch.
    KeysOfTheBatch,
    /// Whose client leaves does his duty to the others all the same.
    LeaderStays,
    /// Each is told of his own purchase.
    OwnReceipt,
}

/// The most orders in a transaction, as the service has it by default.
pub(super) const MAX_BATCH: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

/// All rules are kept.
pub const RIGHT: BuildPurchaser = BuildPurchaser {
    name: "batching-by-every-rule",
    on_conflict: OnConflict::TriesAgain,
    keys: Keys::Promised,
    build: |pool| batching(pool, None),
};

/// A purchaser that breaks this rule.
fn breaking(pool: PgPool, rule: Rule) -> Arc<dyn Purchaser> {
    let batching = batching(pool, Some(rule));
    match rule {
        Rule::LeaderStays => in_place(batching),
        _ => batching,
    }
}

fn batching(pool: PgPool, broken: Option<Rule>) -> Arc<dyn Purchaser> {
    Arc::new(Batching {
        pool,
        broken,
        waiting: Combiner::new(MAX_BATCH),
    })
}

struct Batching {
    pool: PgPool,
    broken: Option<Rule>,
    waiting: Combiner<ItemId, Waiting>,
}

/// A sale, and who waits for its decision.
struct Waiting {
    sale: Sale,
    /// Taken once it is answered.
    told: Option<oneshot::Sender<Decision>>,
}

impl Waiting {
    fn tell(&mut self, decision: Decision) {
        if let Some(told) = self.told.take() {
            // Whoever does not listen any more will ask again, with his key.
            let _ = told.send(decision);
        }
    }
}

impl Purchaser for Batching {
    fn purchase(
        self: Arc<Self>,
        Order { user_id, item_id }: Order,
        key: Option<IdempotencyKey>,
    ) -> BoxFuture<'static, Result<Outcome, PurchaseError>> {
        let (told, decision) = oneshot::channel();
        let sale = Sale {
            user_id,
            item_id,
            key,
        };
        let told = Some(told);
        let lead = self.waiting.join(item_id, Waiting { sale, told });
        let decided = decision.map(|decision| match decision {
            Ok(decision) => answer(decision),
            Err(dropped) => Err(PurchaseError::Unexpected(dropped.into())),
        });
        let Some(lead) = lead else {
            return decided.boxed();
        };
        let broken = self.broken;
        let leading = self.lead(lead);
        if broken == Some(Rule::LeaderStays) {
            return leading.then(|()| decided).boxed();
        }
        tokio::spawn(leading);
        decided.boxed()
    }
}

impl Batching {
    /// Does batch after batch, until nobody waits.
    async fn lead(self: Arc<Self>, mut lead: Lead<ItemId, Waiting>) {
        while let Some((batch, next)) = lead.next_batch() {
            // What was begun ends, even if the leader does not see it.
            let deciding = tokio::spawn(Arc::clone(&self).decide(batch));
            deciding.await.ok();
            lead = next;
        }
    }

    /// Decides the orders together, or if that fails one by one.
    async fn decide(self: Arc<Self>, mut batch: Vec<Waiting>) {
        if let [order] = batch.as_mut_slice() {
            return self.decide_alone(order).await;
        }
        let sales: Vec<_> = batch.iter().map(|order| order.sale.clone()).collect();
        let mut early = |place: usize, refusal| batch[place].tell(Err(Stop::Refused(refusal)));
        let failure = match self.transaction(&sales).run(&self.pool, &mut early).await {
            Ok(outcomes) => {
                for (order, outcome) in batch.iter_mut().zip(outcomes) {
                    order.tell(outcome.map_err(Stop::Refused));
                }
                return;
            }
            Err(failure) => failure,
        };
        let is_tried_again = self.broken != Some(Rule::FailedAreTriedAlone);
        for order in batch.iter_mut().filter(|order| order.told.is_some()) {
            match failure.is_rolled_back && is_tried_again {
                true => self.decide_alone(order).await,
                false => order.tell(Err(failure.for_another())),
            }
        }
    }

    async fn decide_alone(&self, order: &mut Waiting) {
        let sales = std::slice::from_ref(&order.sale);
        let decision = retry(async || {
            let ran = self
                .transaction(sales)
                .run(&self.pool, &mut |_, _| {})
                .await;
            let outcomes = ran.map_err(|failure| failure.stop)?;
            let outcome = outcomes.into_iter().next();
            let outcome = outcome.ok_or(Stop::unexpected(sqlx::Error::RowNotFound))?;
            outcome.map_err(Stop::Refused)
        });
        let decision = decision.await;
        order.tell(decision);
    }

    fn transaction<'s>(&self, sales: &'s [Sale]) -> Transaction<'s> {
        Transaction {
            sales,
            broken: self.broken,
        }
    }
}

impl Failure {
    /// The same for one more of the batch.
    fn for_another(&self) -> Stop {
        match &self.stop {
            Stop::Refused(refusal) => Stop::Refused(*refusal),
            Stop::Failed(PurchaseError::Busy(error)) => {
                Stop::Failed(PurchaseError::Busy(error.to_string().into()))
            }
            Stop::Failed(error) => {
                Stop::Failed(PurchaseError::Unexpected(error.to_string().into()))
            }
        }
    }
}
