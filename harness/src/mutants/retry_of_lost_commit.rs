//! A right transaction, run again where the connection broke at COMMIT.

use purchase_service::order::Receipt;
use sqlx::PgPool;

use super::decider::{Decision, Sale, Stop, deciding, end};
use super::sql::judge;
use super::{BySerialOrders, Detector, Mutant};
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "retry-of-lost-commit",
    bug: "a COMMIT whose answer was lost is taken for a failed one, and the purchase is made \
          again without its key",
    harm: "one click charges twice and takes two units",
    seen_in: "retry middleware around a whole transaction; what idempotency keys of payment APIs \
          such as Stripe's are there for",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[Detector::Fault("drop-after")],
    by_serial_orders: BySerialOrders::Faults,
    build: |pool| deciding(pool, decide),
};

async fn decide(pool: PgPool, sale: Sale) -> Decision {
    match attempt(&pool, &sale).await? {
        Attempt::Decided(receipt) => Ok(receipt),
        Attempt::Lost => {
            let again = Sale { key: None, ..sale };
            let mut transaction = pool.begin().await?;
            let decision = judge(&mut transaction, &again).await;
            end(transaction, decision).await
        }
    }
}

enum Attempt {
    Decided(Receipt),
    Lost,
}

async fn attempt(pool: &PgPool, sale: &Sale) -> Result<Attempt, Stop> {
    let mut transaction = pool.begin().await?;
    let receipt = match judge(&mut transaction, sale).await {
        Ok(receipt) => receipt,
        refused => return end(transaction, refused).await.map(Attempt::Decided),
    };
    match transaction.commit().await {
        Ok(()) => Ok(Attempt::Decided(receipt)),
        Err(error @ sqlx::Error::Database(_)) => Err(error.into()),
        Err(_) => Ok(Attempt::Lost),
    }
}
