//! A shared lock that becomes an exclusive one when it is too late.

use futures::future::FutureExt;
use sqlx::PgConnection;

use super::decider::{Decision, Sale, judging};
use super::sql::{Item, lock_wallet, share_item, take};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "share-lock-upgraded",
    bug: "the item is locked FOR SHARE and then updated, for which each buyer must wait until \
          the others let go",
    harm: "any two buyers of one item are a deadlock: one of them fails, a second later",
    seen_in: "the counter of MySQL's manual on locking reads, which it gives as an example of \
          what FOR SHARE is not good for",
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
    item.pay(lock_wallet(connection, sale.user_id).await?)?;
    take(connection, sale, item.price).await
}
