//! SKIP LOCKED, and what is locked counts as gone.

use futures::future::FutureExt;
use purchase_service::order::Refusal;
use sqlx::{PgConnection, query_as};

use super::decider::{Decision, Sale, judging};
use super::sql::{Item, lock_wallet, read_item, take};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "skip-locked",
    bug: "the item is locked with SKIP LOCKED, and an item that another buyer has locked is \
          answered as sold out",
    harm: "buyers are sent away while the shelf is full",
    seen_in: "queue code reused for a shared row; PostgreSQL's manual calls the view that SKIP \
          LOCKED gives inconsistent and unsuitable for general purpose work",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[
        Detector::Explorer("double-click"),
        Detector::Scenario(ScenarioName::ConcurrentBuyers),
    ],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| judging(pool, |connection, sale| judge(connection, sale).boxed()),
};

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item = query_as("select price, stock from item where id = $1 for update skip locked")
        .bind(sale.item_id)
        .fetch_optional(&mut *connection)
        .await?;
    if item.is_none() && read_item(connection, sale.item_id).await?.is_some() {
        return Err(Refusal::OutOfStock.into());
    }
    let item = Item::in_stock(item)?;
    item.pay(lock_wallet(connection, sale.user_id).await?)?;
    take(connection, sale, item.price).await
}
