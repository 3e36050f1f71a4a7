//! A refusal returns early, past the rollback.

use sqlx::{Executor, PgPool};

use super::decider::{Decision, Sale, deciding};
use super::sql::judge;
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "refusal-without-rollback",
    bug: "a refused purchase gives its connection back to the pool inside the transaction",
    harm: "one \"sold out\" and the item stays locked by a session that nobody uses; whoever \
          gets that connection next buys in the dead buyer's transaction",
    seen_in: "BEGIN and COMMIT sent by hand with a return between them; PostgreSQL has \
          idle_in_transaction_session_timeout against it",
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
    connection.execute("begin").await?;
    let receipt = judge(&mut connection, &sale).await?;
    connection.execute("commit").await?;
    Ok(receipt)
}
