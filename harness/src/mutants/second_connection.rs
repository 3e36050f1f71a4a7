//! A second connection is taken while the first is held.

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool};

use super::decider::{Decision, Sale, deciding, end};
use super::sql::{Item, lock_item, lock_wallet, read_item, take};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "second-connection",
    bug: "the price is looked up on a second connection while the first is inside the transaction",
    harm: "as many buyers as the pool has connections, and all of them wait for one that none \
          will give back",
    seen_in: "a repository call that opens its own connection; HikariCP's page \"About Pool \
          Sizing\" gives the pool size that avoids the lock-up",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[Detector::Scenario(ScenarioName::ConcurrentBuyers)],
    by_serial_orders: BySerialOrders::Neither(
        "both buyers wait for a connection until the pool gives up, and are told 503, which is to \
         give way; that hardly anybody is served shows in a crowd",
    ),
    build: |pool| deciding(small(&pool), decide),
};

/// A pool of its own, in which two buyers suffice, and the wait is short.
fn small(pool: &PgPool) -> PgPool {
    PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_secs(2))
        .test_before_acquire(false)
        .connect_lazy_with(pool.connect_options().as_ref().clone())
}

async fn decide(pool: PgPool, sale: Sale) -> Decision {
    let mut transaction = pool.begin().await?;
    let decision = judge(&pool, &mut transaction, &sale).await;
    end(transaction, decision).await
}

async fn judge(pool: &PgPool, transaction: &mut PgConnection, sale: &Sale) -> Decision {
    let item = Item::in_stock(lock_item(transaction, sale.item_id).await?)?;
    let mut second = pool.acquire().await?;
    let listed = read_item(&mut second, sale.item_id).await?;
    drop(second);
    let price = listed.map_or(item.price, |listed| listed.price);
    item.pay(lock_wallet(transaction, sale.user_id).await?)?;
    take(transaction, sale, price).await
}
