//! BEGIN, the statements and COMMIT each take whatever connection the pool gives.

use futures::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::{Executor, PgPool, Postgres};

use super::decider::{Decision, Sale, deciding};
use super::sql::judge;
use super::{BySerialOrders, Detector, Mutant};
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "begin-and-commit-apart",
    bug: "BEGIN, the statements and COMMIT go to the pool one by one, and to different \
          connections as soon as it has several",
    harm: "purchases run in other buyers' transactions or in none, locks stay held, and \
          acknowledged purchases are rolled back",
    seen_in: "pool.query('BEGIN') in node-postgres, whose documentation of transactions warns of \
          it",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[Detector::Explorer("one-item")],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| deciding(pool, decide),
};

async fn decide(pool: PgPool, sale: Sale) -> Decision {
    execute(&pool, "begin").await?;
    let mut connection = pool.acquire().await?;
    let decision = judge(&mut connection, &sale).await;
    give_back(connection).await;
    let end = if decision.is_ok() {
        "commit"
    } else {
        "rollback"
    };
    execute(&pool, end).await?;
    decision
}

async fn execute(pool: &PgPool, statement: &'static str) -> sqlx::Result<()> {
    let mut connection = pool.acquire().await?;
    connection.execute(statement).await?;
    give_back(connection).await;
    Ok(())
}

/// A connection that is only dropped is back in the pool a moment later; by then the next
/// statement would have opened another, and nothing would work even for one buyer.
fn give_back(mut connection: PoolConnection<Postgres>) -> BoxFuture<'static, ()> {
    Box::pin(connection.return_to_pool())
}
