//! The key is looked up before the transaction, and no constraint stands behind it.

use sqlx::{PgConnection, PgPool};

use super::decider::{Decision, Sale, deciding_after, end};
use super::sql::{Item, charge, find_repeat, lock_item, lock_wallet, take_unit, write_purchase};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "key-checked-apart",
    bug: "the Idempotency-Key is looked up in a transaction of its own, before the purchase's, \
          and nothing makes it unique",
    harm: "a double click under one key charges twice",
    seen_in: "middleware that looks the key up in a cache or a table, and then calls the handler",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[
        Detector::Explorer("repeated-key"),
        Detector::Scenario(ScenarioName::DoubleClick),
    ],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| deciding_after(pool, SCHEMA, decide),
};

const SCHEMA: &str =
    "alter table purchase drop constraint if exists purchase_idempotency_key_unique";

async fn decide(pool: PgPool, sale: Sale) -> Decision {
    if let Some(receipt) = find_repeat(&mut *pool.acquire().await?, &sale).await? {
        return Ok(receipt);
    }
    let mut transaction = pool.begin().await?;
    let decision = judge(&mut transaction, &sale).await;
    end(transaction, decision).await
}

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item = Item::in_stock(lock_item(connection, sale.item_id).await?)?;
    item.pay(lock_wallet(connection, sale.user_id).await?)?;
    let balance_left = charge(connection, sale.user_id, item.price).await?;
    take_unit(connection, sale.item_id).await?;
    let key = sale.key.as_ref();
    Ok(write_purchase(connection, sale, key, item.price, balance_left).await?)
}
