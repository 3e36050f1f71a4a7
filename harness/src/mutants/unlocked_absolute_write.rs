//! Reads without a lock, checks in the application, writes back what it computed.

use futures::future::FutureExt;
use sqlx::PgConnection;

use super::decider::{Decision, Sale, judging};
use super::sql::{Item, read_item, read_wallet, set_balance, set_stock, write_purchase};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "unlocked-absolute-write",
    bug: "stock and balance are read without a lock, and what was computed from them is written \
          back",
    harm: "two buyers who read the same stock both sell the last unit, and one of the two \
          decrements is lost",
    seen_in: "the save() of most ORMs, for which Django's documentation recommends F() \
          expressions; the textbook's lost update",
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
    let balance_left = item.pay(read_wallet(connection, sale.user_id).await?)?;
    set_balance(connection, sale.user_id, balance_left).await?;
    set_stock(connection, sale.item_id, item.stock - 1).await?;
    Ok(write_purchase(connection, sale, None, item.price, balance_left).await?)
}
