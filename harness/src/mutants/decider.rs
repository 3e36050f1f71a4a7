//! One async function as a purchaser: what a mutant needs to stand behind the HTTP layer.
//!
//! The function says how an order is decided, with `?` for both refusals and errors; this says
//! what the HTTP layer is told.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use purchase_service::order::{IdempotencyKey, ItemId, Order, Receipt, Refusal, UserId};
use purchase_service::purchaser::{Outcome, PurchaseError, Purchaser};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::OnceCell;

/// What was asked for: an order, and the key that makes its retry safe.
#[derive(Debug, Clone)]
pub(super) struct Sale {
    pub(super) user_id: UserId,
    pub(super) item_id: ItemId,
    pub(super) key: Option<IdempotencyKey>,
}

/// How an order was decided.
pub(super) type Decision = Result<Receipt, Stop>;

/// What ends a purchase before its receipt.
#[derive(Debug)]
pub(super) enum Stop {
    /// The shop says no.
    Refused(Refusal),
    /// Nothing could be decided.
    Failed(PurchaseError),
}

impl Stop {
    /// A failure that is answered by 500, whatever its cause.
    pub(super) fn unexpected(error: sqlx::Error) -> Self {
        Stop::Failed(PurchaseError::Unexpected(error.into()))
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refused(refusal)
    }
}

/// Answered as the service would: a conflict, no connection in time, or something unexpected.
impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        if gave_way(&error) {
            return Stop::Failed(PurchaseError::Conflict(error.into()));
        }
        match error {
            sqlx::Error::PoolTimedOut => Stop::Failed(PurchaseError::Busy(error.into())),
            _ => Stop::unexpected(error),
        }
    }
}

/// Whether Postgres sacrificed the transaction to another: a serialization failure, a deadlock,
/// a lock that did not come in time, or a key that another purchase wrote first.
pub(super) fn gave_way(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    matches!(error.code().as_deref(), Some("40001" | "40P01" | "55P03"))
        || error.constraint() == Some("purchase_idempotency_key_unique")
}

/// A purchaser that has `decide` decide each order.
pub(super) fn deciding<D, F>(pool: PgPool, decide: D) -> Arc<dyn Purchaser>
where
    D: Fn(PgPool, Sale) -> F + Send + Sync + 'static,
    F: Future<Output = Decision> + Send + 'static,
{
    deciding_after(pool, "", decide)
}

/// Like [`deciding`], after `schema` has been run once. It may have been run before, and two
/// replicas may come at once.
pub(super) fn deciding_after<D, F>(
    pool: PgPool,
    schema: &'static str,
    decide: D,
) -> Arc<dyn Purchaser>
where
    D: Fn(PgPool, Sale) -> F + Send + Sync + 'static,
    F: Future<Output = Decision> + Send + 'static,
{
    Arc::new(Decider {
        pool,
        schema,
        is_made: OnceCell::new(),
        decide,
    })
}

/// A purchaser for which `judge` runs inside a transaction: committed where it sells, rolled
/// back where it does not.
pub(super) fn judging(pool: PgPool, judge: Judge) -> Arc<dyn Purchaser> {
    judging_after(pool, "", judge)
}

/// Like [`judging`], after `schema` has been run once.
pub(super) fn judging_after(
    pool: PgPool,
    schema: &'static str,
    judge: Judge,
) -> Arc<dyn Purchaser> {
    deciding_after(pool, schema, move |pool, sale| async move {
        let mut transaction = pool.begin().await?;
        let decision = judge(&mut transaction, &sale).await;
        end(transaction, decision).await
    })
}

/// Decides an order by statements on a connection that is in a transaction.
pub(super) type Judge = for<'c> fn(&'c mut PgConnection, &'c Sale) -> BoxFuture<'c, Decision>;

/// Commits what was sold, and rolls everything else back before it is answered.
pub(super) async fn end<T>(
    transaction: Transaction<'static, Postgres>,
    decision: Result<T, Stop>,
) -> Result<T, Stop> {
    match decision {
        Ok(_) => transaction.commit().await?,
        // The decision stands, whatever becomes of the rollback.
        Err(_) => drop(transaction.rollback().await),
    }
    decision
}

struct Decider<D> {
    pool: PgPool,
    schema: &'static str,
    is_made: OnceCell<()>,
    decide: D,
}

impl<D, F> Purchaser for Decider<D>
where
    D: Fn(PgPool, Sale) -> F + Send + Sync + 'static,
    F: Future<Output = Decision> + Send + 'static,
{
    fn purchase(
        self: Arc<Self>,
        Order { user_id, item_id }: Order,
        key: Option<IdempotencyKey>,
    ) -> BoxFuture<'static, Result<Outcome, PurchaseError>> {
        let sale = Sale {
            user_id,
            item_id,
            key,
        };
        async move { answer(self.decide(sale).await) }.boxed()
    }
}

impl<D, F> Decider<D>
where
    D: Fn(PgPool, Sale) -> F,
    F: Future<Output = Decision>,
{
    async fn decide(&self, sale: Sale) -> Decision {
        if !self.schema.is_empty() {
            let make = || make_schema(&self.pool, self.schema);
            self.is_made.get_or_try_init(make).await?;
        }
        (self.decide)(self.pool.clone(), sale).await
    }
}

/// All in one transaction, which a simple query of several statements is, and one replica at a
/// time, since `if not exists` alone is not safe against another that runs at once.
async fn make_schema(pool: &PgPool, schema: &str) -> sqlx::Result<()> {
    let statements = format!("select pg_advisory_xact_lock(-1);\n{schema}");
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(pool)
        .await?;
    Ok(())
}

/// What the HTTP layer is told of a decision.
pub(super) fn answer(decision: Decision) -> Result<Outcome, PurchaseError> {
    match decision {
        Ok(receipt) => Ok(Ok(receipt)),
        Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// A purchaser whose purchases end when their clients leave.
pub(super) fn in_place(purchaser: Arc<dyn Purchaser>) -> Arc<dyn Purchaser> {
    Arc::new(InPlace(purchaser))
}

struct InPlace(Arc<dyn Purchaser>);

impl Purchaser for InPlace {
    fn purchase(
        self: Arc<Self>,
        order: Order,
        key: Option<IdempotencyKey>,
    ) -> BoxFuture<'static, Result<Outcome, PurchaseError>> {
        Arc::clone(&self.0).purchase(order, key)
    }

    fn run(
        &self,
        purchase: BoxFuture<'static, Result<Outcome, PurchaseError>>,
    ) -> BoxFuture<'static, Result<Outcome, PurchaseError>> {
        purchase
    }
}
