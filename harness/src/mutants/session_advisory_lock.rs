//! A session's advisory lock goes back to the pool with its connection.

use sqlx::{Connection, PgConnection, PgPool};

use super::decider::{Decision, Sale, deciding};
use super::sql::judge;
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "session-advisory-lock",
    bug: "the item is guarded by an advisory lock of the session, which a refused purchase does \
          not give back",
    harm: "one \"sold out\" and nobody can buy the item until that pooled connection is closed",
    seen_in: "pg_advisory_lock under a connection pool: PostgreSQL holds it until it is released \
          or the session ends, and pgbouncer's features page excludes it from transaction pooling",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[
        Detector::Scenario(ScenarioName::ConcurrentBuyers),
        Detector::Scenario(ScenarioName::BalanceEdge),
    ],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| deciding(pool, decide),
};

async fn decide(pool: PgPool, sale: Sale) -> Decision {
    let mut connection = pool.acquire().await?;
    advise(&mut connection, "select pg_advisory_lock($1)", &sale).await?;
    let mut transaction = connection.begin().await?;
    let receipt = judge(&mut transaction, &sale).await?;
    transaction.commit().await?;
    advise(&mut connection, "select pg_advisory_unlock($1)", &sale).await?;
    Ok(receipt)
}

async fn advise(
    connection: &mut PgConnection,
    statement: &'static str,
    sale: &Sale,
) -> sqlx::Result<()> {
    sqlx::query(statement)
        .bind(sale.item_id)
        .execute(connection)
        .await?;
    Ok(())
}
