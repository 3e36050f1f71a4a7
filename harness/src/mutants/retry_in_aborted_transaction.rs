//! Tries again, in a transaction that can only be rolled back.

use futures::future::FutureExt;
use purchase_service::purchaser::PurchaseError;
use sqlx::{PgConnection, query_as};

use super::decider::{Decision, Sale, Stop, judging};
use super::sql::{Item, lock_wallet, take};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "retry-in-aborted-transaction",
    bug: "a lock that is not free is tried again in the same transaction, which PostgreSQL has \
          aborted (25P02)",
    harm: "whoever does not come first sees a server error",
    seen_in: "a catch inside the transaction block, which Django's documentation of atomic() \
          warns of",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[
        Detector::Explorer("one-item"),
        Detector::Scenario(ScenarioName::ConcurrentBuyers),
    ],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| judging(pool, |connection, sale| judge(connection, sale).boxed()),
};

const RETRIES: u32 = 3;

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    for _ in 0..RETRIES {
        match attempt(connection, sale).await {
            Err(Stop::Failed(PurchaseError::Conflict(_))) => {}
            decision => return decision,
        }
    }
    attempt(connection, sale).await
}

async fn attempt(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item = query_as("select price, stock from item where id = $1 for update nowait")
        .bind(sale.item_id)
        .fetch_optional(&mut *connection)
        .await?;
    let item = Item::in_stock(item)?;
    item.pay(lock_wallet(connection, sale.user_id).await?)?;
    take(connection, sale, item.price).await
}
