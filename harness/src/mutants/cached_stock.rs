//! The stock is judged from a cache.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use purchase_service::order::{ItemId, Refusal};
use sqlx::{PgConnection, PgPool};

use super::decider::{Decision, Sale, deciding, end};
use super::sql::{Item, lock_item, lock_wallet, read_item, take};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "cached-stock",
    bug: "whether the item is in stock is judged from a cache in the process, which hears of a \
          sale after its commit, and never of another replica's",
    harm: "buyers pass the check on units that are gone, and where no constraint stops them the \
          shop sells what it has not got",
    seen_in: "flash sales with the stock in Redis or in memory before the database",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[
        Detector::Explorer("one-item"),
        Detector::Scenario(ScenarioName::ConcurrentBuyers),
    ],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| {
        let cache = Arc::new(Cache::default());
        deciding(pool, move |pool, sale| {
            decide(pool, sale, Arc::clone(&cache))
        })
    },
};

type Cache = Mutex<HashSet<ItemId>>;

async fn decide(pool: PgPool, sale: Sale, cache: Arc<Cache>) -> Decision {
    let in_stock = lock(&cache).contains(&sale.item_id);
    if !in_stock {
        Item::in_stock(read_item(&mut *pool.acquire().await?, sale.item_id).await?)?;
        lock(&cache).insert(sale.item_id);
    }
    let mut transaction = pool.begin().await?;
    let decision = judge(&mut transaction, &sale).await;
    let receipt = end(transaction, decision).await?;
    lock(&cache).remove(&sale.item_id);
    Ok(receipt)
}

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item = lock_item(connection, sale.item_id).await?;
    let item = item.ok_or(Refusal::UnknownItem)?;
    item.pay(lock_wallet(connection, sale.user_id).await?)?;
    take(connection, sale, item.price).await
}

fn lock(cache: &Cache) -> MutexGuard<'_, HashSet<ItemId>> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}
