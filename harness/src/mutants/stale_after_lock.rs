//! The lock is taken, and then the value that was read before it is used.

use futures::future::FutureExt;
use sqlx::PgConnection;

use super::decider::{Decision, Sale, judging};
use super::sql::{Item, charge, lock_item, lock_wallet, read_item, set_stock, write_purchase};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "stale-after-lock",
    bug: "the item is read, then locked, and what was read before the lock is checked and \
          written back",
    harm: "whoever waited for the lock sells a unit that was sold meanwhile, and one decrement \
          is lost",
    seen_in: "ORM objects that were loaded before they were locked; ActiveRecord's lock! reloads \
          the record for that reason",
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
    let item = Item::in_stock(read_item(connection, sale.item_id).await?)?;
    lock_item(connection, sale.item_id).await?;
    item.pay(lock_wallet(connection, sale.user_id).await?)?;
    let balance_left = charge(connection, sale.user_id, item.price).await?;
    set_stock(connection, sale.item_id, item.stock - 1).await?;
    Ok(write_purchase(connection, sale, None, item.price, balance_left).await?)
}
