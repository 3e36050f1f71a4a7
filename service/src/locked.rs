//! Our way to purchase: under row locks, and together with whoever wants the same item.
//!
//! ```text
//!   an order ─▶ combiner ─▶ batch ─▶ transaction ──▶ its answer
//!                             ▲          │ gave way, or failed with others in it
//!                             └──────────┘ again; what failed with others, each alone
//! ```
//!
//! Orders of one item that wait in this process share the next transaction; [`combiner`] says
//! who does, [`purchase`](crate::purchase) what happens in it. Other processes are kept apart by
//! the row's lock. An order is in its batch whether or not its client is still there.

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use combiner::{Combiner, Lead};
use futures::future::{BoxFuture, FutureExt};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use sqlx::postgres::PgPool;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::backoff::backoff;
use crate::judgement::KeyedOrder;
use crate::metrics::latencies;
use crate::order::{IdempotencyKey, ItemId, Order};
use crate::purchase::{Failure, purchase};
use crate::purchaser::{BoxError, Outcome, PurchaseError, Purchaser};
use crate::session::{BeginError, CommitError};

/// How often a purchase that gave way to others is tried again.
const MAX_RETRIES: u32 = 3;

/// Purchases under row locks.
#[derive(Debug)]
pub struct LockedPurchase {
    pool: PgPool,
    transaction_timeout: Duration,
    max_batch: NonZeroUsize,
    waiting: Combiner<ItemId, Waiting>,
    retries: AtomicU64,
    /// How many orders each batch has.
    batch_orders: Histogram,
    /// How long each order waits for its batch, in seconds.
    batch_wait: Histogram,
}

impl LockedPurchase {
    /// Purchases on connections of `pool`, up to `max_batch` of one item in a transaction; where
    /// that is 1, no order waits for another here. A transaction that takes longer than
    /// `transaction_timeout`, because the server has stopped answering, is given up.
    pub fn new(pool: PgPool, transaction_timeout: Duration, max_batch: NonZeroUsize) -> Self {
        Self {
            pool,
            transaction_timeout,
            max_batch,
            waiting: Combiner::new(max_batch),
            retries: AtomicU64::new(u64::from(std::process::id())),
            batch_orders: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            batch_wait: latencies(),
        }
    }

    /// Does batch after batch, until nobody waits.
    async fn lead(self: Arc<Self>, mut lead: Lead<ItemId, Waiting>) {
        while let Some((batch, next)) = lead.next_batch() {
            self.decide(batch).await;
            lead = next;
        }
    }

    /// Decides orders of one item, together if it can be, and answers each.
    async fn decide(&self, mut batch: Vec<Waiting>) {
        batch.retain(|order| order.claim.is_first());
        if batch.is_empty() {
            return;
        }
        self.batch_orders.observe(batch.len() as f64);
        for order in &batch {
            self.batch_wait.observe(order.since.elapsed().as_secs_f64());
        }
        let (mut rounds, mut groups) = (0, vec![batch]);
        while !groups.is_empty() {
            let mut round = Round::default();
            for group in groups {
                self.attempt(group, rounds, &mut round).await;
            }
            groups = round.again;
            if round.gave_way {
                sleep(backoff(
                    rounds,
                    self.retries.fetch_add(1, Ordering::Relaxed),
                ))
                .await;
                rounds += 1;
            }
        }
    }

    /// Runs one transaction, and answers its orders or has them tried again.
    async fn attempt(&self, group: Vec<Waiting>, retry: u32, round: &mut Round) {
        if round.is_unreachable {
            return fail(
                group,
                PurchaseError::Busy,
                "no connection for those before it",
            );
        }
        let orders: Vec<KeyedOrder> = group.iter().map(|it| it.order.clone()).collect();
        let Some(item_id) = orders.first().map(|(order, _)| order.item_id) else {
            return;
        };
        let deadline = self.transaction_timeout;
        let failure = match purchase(&self.pool, deadline, item_id, &orders).await {
            Ok(outcomes) => {
                for (order, outcome) in group.into_iter().zip(outcomes) {
                    order.tell(Ok(outcome));
                }
                return;
            }
            Err(failure) => failure,
        };
        match fate(&failure) {
            Fate::NotBegun => {
                round.is_unreachable = true;
                fail(group, PurchaseError::Busy, failure);
            }
            // Perhaps only one of them is the cause: alone, it harms no other.
            Fate::OnesOwn { .. } if group.len() > 1 => {
                round
                    .again
                    .extend(group.into_iter().map(|order| vec![order]));
            }
            Fate::OnesOwn { gave_way: true } | Fate::Shared { gave_way: true } => {
                if retry == MAX_RETRIES {
                    return fail(group, PurchaseError::Conflict, failure);
                }
                round.gave_way = true;
                round.again.push(group);
            }
            _ => fail(group, PurchaseError::Unexpected, failure),
        }
    }
}

impl Purchaser for LockedPurchase {
    /// The order has its place among those of its item when this returns.
    fn purchase(
        self: Arc<Self>,
        order: Order,
        key: Option<IdempotencyKey>,
    ) -> BoxFuture<'static, Result<Outcome, PurchaseError>> {
        let (waiting, told) = Waiting::new((order, key));
        if self.max_batch.get() == 1 {
            let decided = async move { self.decide(vec![waiting]).await };
            return decided.then(|()| told.answer()).boxed();
        }
        let patience = self.pool.options().get_acquire_timeout();
        if let Some(lead) = self.waiting.join(order.item_id, waiting) {
            // On a task of its own: it goes on for others when this order is answered.
            tokio::spawn(self.lead(lead));
        }
        told.answer_begun_within(patience).boxed()
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "batch_orders",
            "Orders that share a transaction",
            self.batch_orders.clone(),
        );
        registry.register(
            "batch_wait_seconds",
            "Time from an order's admission to its transaction",
            self.batch_wait.clone(),
        );
    }
}

type Answer = Result<Outcome, PurchaseError>;

/// An order, and who waits for its answer.
struct Waiting {
    order: KeyedOrder,
    since: Instant,
    claim: Arc<Claim>,
    answer: oneshot::Sender<Answer>,
}

impl Waiting {
    fn new(order: KeyedOrder) -> (Self, Told) {
        let (answer, answered) = oneshot::channel();
        let claim = Arc::new(Claim::default());
        let waiting = Self {
            order,
            since: Instant::now(),
            claim: Arc::clone(&claim),
            answer,
        };
        (waiting, Told { claim, answered })
    }

    fn tell(self, answer: Answer) {
        // Whoever does not listen any more will ask again, with his key.
        let _ = self.answer.send(answer);
    }
}

/// An order is its batch's, or withdrawn at the end of its patience: whichever comes first.
#[derive(Default)]
struct Claim(AtomicBool);

impl Claim {
    fn is_first(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// What the sender of an order keeps.
struct Told {
    claim: Arc<Claim>,
    answered: oneshot::Receiver<Answer>,
}

impl Told {
    async fn answer(self) -> Answer {
        self.answered.await.unwrap_or_else(lost)
    }

    /// Its answer, or that nothing began, if by then no batch has taken it.
    async fn answer_begun_within(mut self, patience: Duration) -> Answer {
        match timeout(patience, &mut self.answered).await {
            Ok(answered) => answered.unwrap_or_else(lost),
            Err(_) if self.claim.is_first() => {
                Err(PurchaseError::Busy("its turn did not come in time".into()))
            }
            Err(_) => self.answer().await,
        }
    }
}

/// Its leader panicked.
fn lost(error: oneshot::error::RecvError) -> Answer {
    Err(PurchaseError::Unexpected(error.into()))
}

/// What came of one attempt at each of the groups.
#[derive(Default)]
struct Round {
    /// What is to be tried again.
    again: Vec<Vec<Waiting>>,
    /// Somebody else was given way to, so that it is better to wait a little.
    gave_way: bool,
    /// No connection could be had: there is none for the others either.
    is_unreachable: bool,
}

/// Whose failure it is.
enum Fate {
    /// Everybody's: no transaction was begun.
    NotBegun,
    /// Everybody's: the item could not be locked, perhaps because it gave way.
    Shared { gave_way: bool },
    /// Perhaps one order's alone; nothing happened, perhaps because it gave way.
    OnesOwn { gave_way: bool },
    /// Everybody's: nobody knows whether it was committed.
    Unknown,
}

fn fate(failure: &Failure) -> Fate {
    match failure {
        Failure::Begin(BeginError::Statement(error)) => Fate::Shared {
            gave_way: gave_way(error),
        },
        Failure::Begin(_) => Fate::NotBegun,
        Failure::Statement(error) | Failure::Commit(CommitError::RolledBack(error)) => {
            Fate::OnesOwn {
                gave_way: gave_way(error),
            }
        }
        Failure::Commit(CommitError::Unknown(_)) | Failure::Silent => Fate::Unknown,
    }
}

/// Tells all of a group that nothing could be decided.
fn fail(
    group: Vec<Waiting>,
    error: impl Fn(BoxError) -> PurchaseError,
    cause: impl Into<BoxError>,
) {
    let cause: Arc<dyn Error + Send + Sync> = Arc::from(cause.into());
    for order in group {
        order.tell(Err(error(Box::new(Arc::clone(&cause)))));
    }
}

/// Whether the transaction was sacrificed to another one and may succeed when tried again.
///
/// Besides 40001 (serialization failure), 40P01 (deadlock) and 55P03 (lock timeout) that is the
/// key's own constraint: two purchases of different items raced with one key, and the next
/// attempt will find it. Each of them says that Postgres has rolled back, even as the answer to
/// COMMIT. A broken connection does not, and is never tried again.
fn gave_way(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    matches!(error.code().as_deref(), Some("40001" | "40P01" | "55P03"))
        || error.constraint() == Some("purchase_idempotency_key_unique")
}
