//! A right transaction whose COMMIT runs on a task of its own.

use sqlx::PgPool;

use super::decider::{Decision, Sale, deciding};
use super::sql::judge;
use super::{BySerialOrders, Detector, Mutant};
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "answer-before-commit",
    bug: "the answer leaves before COMMIT is sent",
    harm: "buyers hold receipts for purchases that do not exist, whenever the commit fails",
    seen_in: "commits in clean-up that runs after the response, as in FastAPI's dependencies \
          with yield, some versions of which exit after the response was sent",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[Detector::Fault("drop-before")],
    by_serial_orders: BySerialOrders::Faults,
    build: |pool| deciding(pool, decide),
};

async fn decide(pool: PgPool, sale: Sale) -> Decision {
    let mut transaction = pool.begin().await?;
    let decision = judge(&mut transaction, &sale).await;
    tokio::spawn(async move {
        if let Err(error) = transaction.commit().await {
            tracing::error!(%error, "commit failed");
        }
    });
    decision
}
