//! A version check whose answer nobody reads.

use futures::future::FutureExt;
use purchase_service::order::{Money, Refusal};
use sqlx::{PgConnection, query_as};

use super::decider::{Decision, Sale, judging_after};
use super::sql::{Item, charge, lock_wallet, write_purchase};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "version-without-row-count",
    bug: "the stock is written only if the item's version is still the one that was read, and \
          whether it was written is not looked at",
    harm: "the second of two buyers gets a unit that was never taken from the stock",
    seen_in: "version columns kept by hand; ORMs such as Hibernate raise an exception where the \
          row count is 0",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[
        Detector::Explorer("one-item"),
        Detector::Scenario(ScenarioName::ConcurrentBuyers),
    ],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| {
        judging_after(pool, SCHEMA, |connection, sale| {
            judge(connection, sale).boxed()
        })
    },
};

const SCHEMA: &str = "alter table item add column if not exists version bigint not null default 0";

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let read: Option<(Money, i64, i64)> =
        query_as("select price, stock, version from item where id = $1")
            .bind(sale.item_id)
            .fetch_optional(&mut *connection)
            .await?;
    let (price, stock, version) = read.ok_or(Refusal::UnknownItem)?;
    let item = Item::in_stock(Some(Item { price, stock }))?;
    item.pay(lock_wallet(connection, sale.user_id).await?)?;
    let balance_left = charge(connection, sale.user_id, item.price).await?;
    sqlx::query("update item set stock = $3, version = version + 1 where id = $1 and version = $2")
        .bind(sale.item_id)
        .bind(version)
        .bind(item.stock - 1)
        .execute(&mut *connection)
        .await?;
    Ok(write_purchase(connection, sale, None, item.price, balance_left).await?)
}
