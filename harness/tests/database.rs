//! The harness's own view of a database that others write to meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rowlock::database::Inspector;
use rowlock_shop::rows::Shop;
use sqlx::{ConnectOptions, Executor};

/// How long a condition may take to come true.
const BOUND: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_read_as_of_one_moment() {
    const STOCK: i64 = 1_000_000;
    let server = rowlock_postgres::shared_local().await;
    let database = server.create_database("one_moment").await.unwrap();
    let inspector = Inspector::open_shop(database.options()).await.unwrap();
    let shop = Shop::default().item(1, 1, STOCK).wallet(1, STOCK);
    inspector.seed(&shop).await.unwrap();
    let mut seller = database.options().connect().await.unwrap();
    let is_closing = Arc::new(AtomicBool::new(false));
    let closing = Arc::clone(&is_closing);
    let selling = tokio::spawn(async move {
        let mut sales = 0;
        while !closing.load(Ordering::Relaxed) {
            let sale = "update item set stock = stock - 1;
                        update wallet set balance = balance - 1;
                        insert into purchase (user_id, item_id, price) values (1, 1, 1)";
            sqlx::raw_sql(sale).execute(&mut seller).await.unwrap();
            sales += 1;
        }
        sales
    });
    let deadline = Instant::now() + BOUND;
    let mut seen = BTreeSet::new();
    while seen.len() < 50 {
        assert!(Instant::now() < deadline, "only {seen:?} within {BOUND:?}");
        let rows = inspector.read(true).await.unwrap();
        let sold = i64::try_from(rows.purchases.unwrap().len()).unwrap();
        let (item, wallet) = (rows.shop.items.values(), rows.shop.wallets.values());
        let left: Vec<_> = item
            .map(|item| item.stock)
            .chain(wallet.map(|money| money.0))
            .collect();
        assert_eq!(left, [STOCK - sold, STOCK - sold]);
        seen.insert(sold);
    }
    is_closing.store(true, Ordering::Relaxed);
    let sales = selling.await.unwrap();
    assert!(seen.last() <= Some(&sales), "{seen:?} of {sales}");
}

/// A target may elect its leader by an advisory lock, and keeps it for as long as it lives.
#[tokio::test]
async fn a_lock_that_was_there_before_the_first_request_is_not_left() {
    let server = rowlock_postgres::shared_local().await;
    let database = server.create_database("standing").await.unwrap();
    let mut inspector = Inspector::open_shop(database.options()).await.unwrap();
    let connect = async || database.options().connect().await.unwrap();
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

/// They stay after the COMMIT, until no transaction that overlaps is left.
#[tokio::test]
async fn predicate_locks_are_not_left() {
    let server = rowlock_postgres::shared_local().await;
    let database = server.create_database("predicate").await.unwrap();
    let inspector = Inspector::open_shop(database.options()).await.unwrap();
    let connect = async || database.options().connect().await.unwrap();
    let (mut committed, mut overlapping) = (connect().await, connect().await);
    let read = "begin isolation level serializable; select * from item";
    overlapping.execute(read).await.unwrap();
    committed.execute(read).await.unwrap();
    committed
        .execute("insert into item (id, name, price, stock) values (1, 'a', 1, 1); commit")
        .await
        .unwrap();
    let left = inspector.wait_for_rest().await.unwrap().locks;
    let is_predicate_lock = |lock: &String| lock.contains("SIReadLock");
    assert!(!left.iter().any(is_predicate_lock), "{left:?}");
    inspector.close().await;
}
