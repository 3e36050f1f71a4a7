//! REPEATABLE READ, and nobody tries again.

use purchase_service::purchaser::PurchaseError;
use sqlx::{PgConnection, PgPool};

use super::decider::{Decision, Sale, Stop, deciding, end};
use super::sql::{Item, read_item, read_wallet, take};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "repeatable-read-unretried",
    bug: "the purchase runs under REPEATABLE READ, and its serialization failure (40001) is \
          answered 500 instead of being tried again",
    harm: "in a rush most buyers see a server error while units are left",
    seen_in: "isolation levels raised as a quick fix; PostgreSQL's manual says that applications \
          at this level must be prepared to retry",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[
        Detector::Explorer("one-item"),
        Detector::Scenario(ScenarioName::ConcurrentBuyers),
    ],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| deciding(pool, decide),
};

async fn decide(pool: PgPool, sale: Sale) -> Decision {
    let mut transaction = pool
        .begin_with("begin isolation level repeatable read")
        .await?;
    let decision = judge(&mut transaction, &sale).await;
    let decision = end(transaction, decision).await;
    decision.map_err(|stop| match stop {
        Stop::Failed(PurchaseError::Conflict(error)) => {
            Stop::Failed(PurchaseError::Unexpected(error))
        }
        stop => stop,
    })
}

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item = Item::in_stock(read_item(connection, sale.item_id).await?)?;
    item.pay(read_wallet(connection, sale.user_id).await?)?;
    take(connection, sale, item.price).await
}
