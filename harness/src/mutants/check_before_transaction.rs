//! The check outside the transaction, the lock inside.

use sqlx::PgPool;

use super::decider::{Decision, Sale, deciding, end};
use super::sql::{Item, lock_item, lock_wallet, read_item, read_wallet, take};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "check-before-transaction",
    bug: "stock and balance are checked before the transaction begins, and not again under its \
          locks",
    harm: "buyers who passed the check together all buy, one after another, and the last ones \
          from an empty shelf",
    seen_in: "validation in the controller, transaction in the service layer: the scope-based \
          anomalies of Warszawski and Bailis, ACIDRain (SIGMOD 2017)",
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
    let mut connection = pool.acquire().await?;
    let item = Item::in_stock(read_item(&mut connection, sale.item_id).await?)?;
    item.pay(read_wallet(&mut connection, sale.user_id).await?)?;
    drop(connection);

    let mut transaction = pool.begin().await?;
    lock_item(&mut transaction, sale.item_id).await?;
    lock_wallet(&mut transaction, sale.user_id).await?;
    let decision = take(&mut transaction, &sale, item.price).await;
    end(transaction, decision).await
}
