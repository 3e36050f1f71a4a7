//! What becomes of a purchase when something else goes wrong.

mod common;

use std::time::Duration;

use common::client::{buy, get};
use common::{BOUND, Shop};
use futures::future::join_all;
use sqlx::Executor;
use tokio::time::timeout;

const TERMINATE: &str = "select count(pg_terminate_backend(pid, 10000)) from pg_stat_activity
    where datname = current_database() and application_name = 'purchase-service'";

const CLOSE_DATABASE: &str =
    "update pg_database set datallowconn = false where datname = current_database()";

const OPEN_DATABASE: &str =
    "update pg_database set datallowconn = true where datname = current_database()";

/// A shop with item 1 at 10 and user 1 with 100.
async fn open_shop(configure: impl FnOnce(&mut purchase_service::Config)) -> Shop {
    let shop = Shop::open_with(configure).await;
    shop.item(1, 10, 50).await;
    shop.wallet(1, 100).await;
    shop
}

/// Makes every purchase raise `sqlstate` until it has done so `times` times; `when` says where.
async fn raise(shop: &Shop, sqlstate: &str, times: u32, when: &str) {
    shop.sql(format!(
        "create sequence raised;
         create function raise() returns trigger language plpgsql as $$
         begin
             -- A sequence remembers what is rolled back.
             if nextval('raised') <= {times} then
                 raise 'told to' using errcode = '{sqlstate}';
             end if;
             return null;
         end $$;
         create constraint trigger raise after insert on purchase {when}
             for each row execute function raise();"
    ))
    .await;
}

const AT_INSERT: &str = "";
const AT_COMMIT: &str = "deferrable initially deferred";

#[tokio::test]
async fn purchase_that_gives_way_is_tried_again_up_to_three_times() {
    for sqlstate in ["40001", "40P01", "55P03"] {
        for when in [AT_INSERT, AT_COMMIT] {
            let shop = open_shop(|_| {}).await;
            raise(&shop, sqlstate, 3, when).await;
            let answer = shop.buy(1, 1).await;
            assert_eq!(
                (answer.status, &answer.body["balance_left"]),
                (200, &90.into())
            );
            assert_eq!(shop.number("select last_value from raised").await, 4);
            shop.assert_sound(50, 100).await;
        }
    }
}

#[tokio::test]
async fn purchase_that_gives_way_once_more_is_a_conflict_without_effect() {
    for sqlstate in ["40001", "40P01", "55P03"] {
        let shop = open_shop(|_| {}).await;
        raise(&shop, sqlstate, 4, AT_INSERT).await;
        let before = shop.rows().await;
        shop.buy(1, 1)
            .await
            .assert_problem(409, "conflict", sqlstate);
        assert_eq!(shop.number("select last_value from raised").await, 4);
        assert_eq!(shop.rows().await, before);
        assert_eq!(shop.buy(1, 1).await.status, 200);
    }
}

#[tokio::test]
async fn anything_unexpected_is_a_500_that_rolls_back_and_is_not_tried_again() {
    for sqlstate in ["P0001", "23514", "XX000", "57014"] {
        for when in [AT_INSERT, AT_COMMIT] {
            let shop = open_shop(|_| {}).await;
            raise(&shop, sqlstate, 1, when).await;
            let before = shop.rows().await;
            let answer = shop.buy_with_key(1, 1, "k").await;
            answer.assert_problem(500, "internal_error", sqlstate);
            assert!(!answer.body.to_string().contains("told to"), "{answer:?}");
            assert_eq!(shop.rows().await, before);
            assert_eq!(shop.buy_with_key(1, 1, "k").await.status, 200);
            shop.assert_sound(50, 100).await;
        }
    }
}

#[tokio::test]
async fn check_constraint_is_a_500_not_a_refusal() {
    let shop = open_shop(|_| {}).await;
    shop.sql("alter table item add constraint backstop check (stock >= 50)")
        .await;
    let before = shop.rows().await;
    shop.buy(1, 1)
        .await
        .assert_problem(500, "internal_error", "23514");
    assert_eq!(shop.rows().await, before);
    shop.assert_sound(50, 100).await;
}

#[tokio::test]
async fn purchase_row_that_is_left_out_is_a_500_and_the_next_order_is_served() {
    let shop = open_shop(|_| {}).await;
    shop.sql(
        "create function leave_out() returns trigger language plpgsql as 'begin return null; end';
         create trigger leave_out before insert on purchase for each row
            execute function leave_out()",
    )
    .await;
    shop.buy(1, 1)
        .await
        .assert_problem(500, "internal_error", "no row");
    shop.sql("drop trigger leave_out on purchase").await;
    assert_eq!(shop.buy(1, 1).await.status, 200);
}

#[tokio::test]
async fn lock_that_is_never_given_back_is_a_conflict() {
    let shop = open_shop(|config| config.lock_timeout_ms = 20).await;
    let lock = shop.lock_item(1).await;
    shop.buy(1, 1)
        .await
        .assert_problem(409, "conflict", "the item is held");
    lock.rollback().await.unwrap();
    let lock = shop.lock_wallet(1).await;
    shop.buy(1, 1)
        .await
        .assert_problem(409, "conflict", "the wallet is held");
    lock.rollback().await.unwrap();
    assert_eq!(shop.buy(1, 1).await.status, 200);
    shop.assert_sound(50, 100).await;
}

#[tokio::test]
async fn statement_that_takes_too_long_is_a_500_without_effect() {
    let shop = open_shop(|config| config.statement_timeout_ms = 500).await;
    let lock = shop.lock_item(1).await;
    shop.buy(1, 1)
        .await
        .assert_problem(500, "internal_error", "the statement's time is up");
    lock.rollback().await.unwrap();
    assert_eq!(shop.buy(1, 1).await.status, 200);
    shop.assert_sound(50, 100).await;
}

#[tokio::test]
async fn transaction_beyond_its_deadline_is_given_up_and_its_connection_closed() {
    let shop = open_shop(|config| {
        config.pool_size = 2;
        config.transaction_timeout_ms = 1_000;
        // The server's own timeout would hide what is left behind.
        config.idle_in_transaction_timeout_ms = 600_000;
    })
    .await;
    let lock = shop.lock_wallet(1).await;
    let buyers = (0..3).map(|_| buy(shop.address, 1, 1, None));
    for answer in join_all(buyers).await {
        answer.assert_problem(500, "internal_error", "the deadline");
    }
    lock.rollback().await.unwrap();
    shop.assert_sound(50, 100).await;
    assert_eq!(shop.number("select count(*) from purchase").await, 0);
    assert_eq!(shop.buy(1, 1).await.status, 200);
    shop.assert_sound(50, 100).await;
}

#[tokio::test]
async fn requests_beyond_the_limit_are_503_before_they_begin() {
    let shop = open_shop(|config| {
        config.pool_size = 1;
        config.max_waiting = 2;
    })
    .await;
    let lock = shop.lock_item(1).await;
    let address = shop.address;
    let mut buyers: futures::stream::FuturesUnordered<_> = (0..5)
        .map(|_| tokio::spawn(buy(address, 1, 1, None)))
        .collect();
    for _ in 0..3 {
        let refused = timeout(BOUND, futures::StreamExt::next(&mut buyers))
            .await
            .unwrap();
        refused
            .unwrap()
            .unwrap()
            .assert_problem(503, "overloaded", "two are waiting");
    }
    lock.rollback().await.unwrap();
    for buyer in buyers {
        assert_eq!(buyer.await.unwrap().status, 200);
    }
    assert_eq!(shop.number("select count(*) from purchase").await, 2);
}

#[tokio::test]
async fn no_connection_in_time_is_503_while_reads_go_on() {
    let shop = open_shop(|config| {
        config.pool_size = 1;
        config.acquire_timeout_ms = 1_000;
    })
    .await;
    shop.item(2, 10, 0).await;
    let lock = shop.lock_item(1).await;
    let first = tokio::spawn(buy(shop.address, 1, 1, None));
    shop.until_blocked(1).await;
    shop.buy(1, 1).await.assert_problem(
        503,
        "busy",
        "the only connection is taken by its item's batch",
    );
    shop.buy(1, 2)
        .await
        .assert_problem(503, "busy", "the only connection is taken");
    assert_eq!(get(shop.address, "/healthz").await.status, 200);
    assert_eq!(get(shop.address, "/api/items/1").await.body["stock"], 50);
    lock.rollback().await.unwrap();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(shop.number("select count(*) from purchase").await, 1);
}

#[tokio::test]
async fn service_whose_sessions_were_all_terminated_serves_the_next_request() {
    let shop = open_shop(|_| {}).await;
    shop.assert_pool_is_full_size(1).await;
    assert_eq!(get(shop.address, "/api/items/1").await.status, 200);
    let stock = shop.number("select stock from item").await;
    shop.sql("update wallet set balance = 200").await;
    assert!(shop.number(TERMINATE).await > 8);
    for answer in join_all((0..10).map(|_| buy(shop.address, 1, 1, None))).await {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(
        get(shop.address, "/api/items/1").await.body["stock"],
        stock - 10
    );
    assert_eq!(get(shop.address, "/healthz").await.status, 200);
}

#[tokio::test]
async fn session_terminated_within_a_purchase_leaves_no_trace_of_it() {
    let shop = open_shop(|_| {}).await;
    let before = shop.rows().await;
    let lock = shop.lock_wallet(1).await;
    let buyer = tokio::spawn(buy(shop.address, 1, 1, None));
    shop.until_blocked(1).await;
    shop.number(TERMINATE).await;
    buyer
        .await
        .unwrap()
        .assert_problem(500, "internal_error", "terminated");
    lock.rollback().await.unwrap();
    assert_eq!(shop.rows().await, before);
    assert_eq!(shop.buy(1, 1).await.status, 200);
    shop.assert_sound(50, 100).await;
    shop.sql("update wallet set balance = 100").await;
    shop.assert_pool_is_full_size(1).await;
}

#[tokio::test]
async fn service_without_its_database_says_so_and_recovers() {
    let shop = open_shop(|config| config.acquire_timeout_ms = 2_000).await;
    let mut inside = shop.db.acquire().await.unwrap();
    inside.execute(CLOSE_DATABASE).await.unwrap();
    inside.execute(TERMINATE).await.unwrap();
    shop.buy(1, 1)
        .await
        .assert_problem(503, "busy", "no database");
    get(shop.address, "/healthz")
        .await
        .assert_problem(503, "database_unavailable", "no database");
    get(shop.address, "/api/items")
        .await
        .assert_problem(503, "busy", "no database");
    inside.execute(OPEN_DATABASE).await.unwrap();
    assert_eq!(shop.buy(1, 1).await.status, 200);
    assert_eq!(get(shop.address, "/healthz").await.status, 200);
}

#[tokio::test]
async fn items_and_wallets_bought_crosswise_never_deadlock() {
    let shop = Shop::open_with(|config| config.pool_size = 16).await;
    for id in 1..=4 {
        shop.item(id, 1, 100).await;
        shop.wallet(id, 60).await;
    }
    let orders = (0..320).map(|n| (n % 4 + 1, n / 4 % 4 + 1));
    let buyers = orders.map(|(user_id, item_id)| buy(shop.address, user_id, item_id, None));
    let answers = timeout(Duration::from_secs(60), join_all(buyers))
        .await
        .unwrap();
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        240
    );
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer.code() == "insufficient_balance")
            .count(),
        80
    );
    shop.assert_sound(400, 240).await;
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(shop.number(deadlocks).await, 0);
}
