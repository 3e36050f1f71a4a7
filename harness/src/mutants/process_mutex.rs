//! A mutex in the process where a lock in the database belongs.

use std::sync::Arc;

use sqlx::{PgConnection, PgPool};
use tokio::sync::Mutex;

use super::decider::{Decision, Sale, deciding, end};
use super::sql::{Item, read_item, read_wallet, set_balance, set_stock, write_purchase};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "process-mutex",
    bug: "purchases exclude each other by a mutex in the process, which a second replica knows \
          nothing of",
    harm: "right on every developer's machine; with the second replica the last unit is sold \
          twice",
    seen_in: "`synchronized`, `lock` or an async mutex around the sale, in services that were \
          later scaled out",
    replicas: 2,
    keys: Keys::AsSeen,
    detectors: &[
        Detector::Explorer("one-item"),
        Detector::Scenario(ScenarioName::ConcurrentBuyers),
    ],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| {
        let mutex = Arc::new(Mutex::new(()));
        deciding(pool, move |pool, sale| {
            decide(pool, sale, Arc::clone(&mutex))
        })
    },
};

async fn decide(pool: PgPool, sale: Sale, mutex: Arc<Mutex<()>>) -> Decision {
    let _alone = mutex.lock().await;
    let mut transaction = pool.begin().await?;
    let decision = judge(&mut transaction, &sale).await;
    end(transaction, decision).await
}

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item = Item::in_stock(read_item(connection, sale.item_id).await?)?;
    let balance_left = item.pay(read_wallet(connection, sale.user_id).await?)?;
    set_balance(connection, sale.user_id, balance_left).await?;
    set_stock(connection, sale.item_id, item.stock - 1).await?;
    Ok(write_purchase(connection, sale, None, item.price, balance_left).await?)
}
