//! The victim of a deadlock is told that it bought.

use futures::future::FutureExt;
use purchase_service::order::PurchaseId;
use purchase_service::purchaser::PurchaseError;
use sqlx::PgConnection;

use super::decider::{Decision, Sale, Stop, judging};
use super::sql::{Item, lock_wallet, receipt, share_item, take};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "deadlock-victim-acknowledged",
    bug: "a deadlock is taken for a second click of which the first has succeeded, and is \
          answered 200",
    harm: "a buyer holds a receipt for a purchase that was rolled back",
    seen_in: "handlers that take every conflict in the database for \"already done\"",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[
        Detector::Explorer("one-item"),
        Detector::Scenario(ScenarioName::ConcurrentBuyers),
    ],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| judging(pool, |connection, sale| judge(connection, sale).boxed()),
};

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item = Item::in_stock(share_item(connection, sale.item_id).await?)?;
    let balance_left = item.pay(lock_wallet(connection, sale.user_id).await?)?;
    match take(connection, sale, item.price).await {
        Err(Stop::Failed(PurchaseError::Conflict(_))) => {
            Ok(receipt(sale, PurchaseId(0), item.price, balance_left))
        }
        decision => decision,
    }
}
