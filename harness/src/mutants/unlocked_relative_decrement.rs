//! Reads without a lock, checks, and lets the database subtract.

use futures::future::FutureExt;
use sqlx::PgConnection;

use super::decider::{Decision, Sale, judging};
use super::sql::{Item, lock_wallet, read_item, take};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "unlocked-relative-decrement",
    bug: "the stock is checked without a lock, and then decremented by the database whatever it \
          is by then",
    harm: "the stock falls below 0, or where a constraint forbids that, buyers get a server \
          error instead of \"sold out\"",
    seen_in: "the inventory checks of the shop systems in Warszawski and Bailis, ACIDRain \
          (SIGMOD 2017)",
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
    item.pay(lock_wallet(connection, sale.user_id).await?)?;
    take(connection, sale, item.price).await
}
