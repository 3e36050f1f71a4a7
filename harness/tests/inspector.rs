//! How the harness itself reads a database in which a target still works.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::sync::atomic::{AtomicBool, Ordering};

use purchase_service::order::{ItemId, UserId};
use rowlock::database::Inspector;
use rowlock::postgres::fresh_database;
use rowlock::shop::Shop;
use sqlx::{Connection, Executor, PgConnection};

/// Every purchase moves one unit and one coin: a read between the two tables would show a shop
/// that never was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shop_is_read_as_it_was_at_one_moment() {
    const PURCHASES: i64 = 100_000;
    let database = fresh_database("one_moment").await;
    let inspector = Inspector::open(database.options()).await.unwrap();
    let shop = Shop::default().item(1, 1, PURCHASES).wallet(1, PURCHASES);
    inspector.seed(&shop).await.unwrap();
    let mut target = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    let is_over = AtomicBool::new(false);
    let buying = async {
        while !is_over.load(Ordering::Relaxed) {
            target
                .execute(
                    "begin; update item set stock = stock - 1; \
                     update wallet set balance = balance - 1; commit",
                )
                .await
                .unwrap();
        }
    };
    let reading = async {
        for _ in 0..500 {
            let shop = inspector.read(false).await.unwrap().shop;
            let stock = shop.items[&ItemId(1)].stock;
            assert_eq!(shop.wallets[&UserId(1)].0, stock);
        }
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(buying, reading);
    inspector.close().await;
}

/// A target may elect its leader by an advisory lock, and keeps it for as long as it lives.
#[tokio::test]
async fn a_lock_that_was_there_before_the_first_request_is_not_left() {
    let database = fresh_database("standing").await;
    let mut inspector = Inspector::open(database.options()).await.unwrap();
    let connect = async || {
        PgConnection::connect_with(&database.options())
            .await
            .unwrap()
    };
    let mut leader = connect().await;
    leader.execute("select pg_advisory_lock(7)").await.unwrap();
    inspector.note_standing_locks().await.unwrap();
    assert_eq!(inspector.wait_for_rest().await.unwrap().locks, [""; 0]);
    let mut other = connect().await;
    other
        .execute("select pg_advisory_lock(7, 7)")
        .await
        .unwrap();
    let left = inspector.wait_for_rest().await.unwrap().locks;
    assert_eq!(left.len(), 1, "{left:?}");
    inspector.close().await;
}
