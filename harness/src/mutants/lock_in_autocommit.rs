//! `FOR UPDATE` before BEGIN: the lock is gone as soon as it is had.

use sqlx::{Connection, PgPool};

use super::decider::{Decision, Sale, deciding};
use super::sql::{Item, lock_item, lock_wallet, set_balance, set_stock, write_purchase};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "lock-in-autocommit",
    bug: "FOR UPDATE runs in autocommit, so its lock ends with the statement, before anything is \
          written",
    harm: "two buyers who lock one after another both write what they computed, and one \
          decrement is lost",
    seen_in: "JDBC, whose connections begin in auto-commit mode, and every code base where the \
          transaction's bounds were moved",
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
    let item = Item::in_stock(lock_item(&mut connection, sale.item_id).await?)?;
    let balance_left = item.pay(lock_wallet(&mut connection, sale.user_id).await?)?;

    let mut transaction = connection.begin().await?;
    set_balance(&mut transaction, sale.user_id, balance_left).await?;
    set_stock(&mut transaction, sale.item_id, item.stock - 1).await?;
    let receipt = write_purchase(&mut transaction, &sale, None, item.price, balance_left).await?;
    transaction.commit().await?;
    Ok(receipt)
}
