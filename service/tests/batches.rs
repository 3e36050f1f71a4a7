//! Orders of one item that share a transaction: each is told what it would be told alone.
//!
//! The item's row is held by the test while orders arrive one after another: the first has a
//! transaction of its own, which waits for the row, and all others share the next.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use common::Shop;
use common::client::{Answer, buy, purchase_request};
use common::model::{Buyer, Model, told};
use futures::future::join_all;
use proptest::collection::vec;
use proptest::option;
use proptest::prop_assert_eq;
use proptest::sample::select;
use rowlock_testing::seed::for_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PRICE: i64 = 10;

/// A shop with `stock` of item 1 at [`PRICE`], and these wallets.
async fn open(stock: i64, wallets: &[(i64, i64)]) -> Shop {
    let shop = Shop::open().await;
    shop.item(1, PRICE, stock).await;
    for &(user_id, balance) in wallets {
        shop.wallet(user_id, balance).await;
    }
    shop
}

/// Sends the orders one after another while nobody can have the item.
async fn queue(shop: &Shop, buyers: &[Buyer]) -> Vec<JoinHandle<Answer>> {
    let address = shop.address;
    let mut sent = Vec::new();
    for &(user_id, key) in buyers {
        sent.push(tokio::spawn(buy(address, user_id, 1, key)));
        shop.until_waiting(sent.len()).await;
    }
    sent
}

/// The answers to the orders, of which all but the first share a transaction.
async fn together(shop: &Shop, buyers: &[Buyer]) -> Vec<Answer> {
    let lock = shop.lock_item(1).await;
    let sent = queue(shop, buyers).await;
    lock.rollback().await.unwrap();
    let answers = join_all(sent).await;
    answers.into_iter().map(Result::unwrap).collect()
}

fn all_told(answers: &[Answer]) -> Vec<String> {
    answers.iter().map(told).collect()
}

#[tokio::test]
async fn the_stock_goes_to_those_who_came_first() {
    let wallets: Vec<_> = (1..=6).map(|user_id| (user_id, PRICE)).collect();
    let shop = open(3, &wallets).await;
    // Not in the order of their ids, in which their wallets are locked.
    let buyers = [6, 5, 2, 4, 1, 3].map(|user_id| (user_id, None));
    let answers = together(&shop, &buyers).await;
    let sold_out = "out_of_stock";
    assert_eq!(
        all_told(&answers),
        ["0 left", "0 left", "0 left", sold_out, sold_out, sold_out]
    );
    for (answer, (user_id, _)) in answers.iter().zip(buyers).take(3) {
        assert_eq!(answer.body["user_id"], user_id, "its own receipt");
        let row = format!(
            "select count(*) from purchase where id = {} and user_id = {user_id}",
            answer.body["purchase_id"]
        );
        assert_eq!(shop.count(row).await, 1, "its own row: {answer:?}");
    }
    shop.assert_sound(3, 60).await;
}

#[tokio::test]
async fn one_user_is_there_twice_and_pays_twice() {
    let shop = open(5, &[(1, 25), (2, 10)]).await;
    let buyers = [(2, None), (1, None), (1, None)];
    let answers = together(&shop, &buyers).await;
    assert_eq!(all_told(&answers), ["0 left", "15 left", "5 left"]);
    shop.assert_sound(5, 35).await;
}

#[tokio::test]
async fn one_user_is_refused_once_the_money_is_gone() {
    let shop = open(5, &[(1, 25), (2, 10)]).await;
    let buyers = [(2, None), (1, None), (1, None), (1, None)];
    let answers = together(&shop, &buyers).await;
    assert_eq!(
        all_told(&answers),
        ["0 left", "15 left", "5 left", "insufficient_balance"]
    );
    shop.assert_sound(5, 35).await;
}

#[tokio::test]
async fn a_key_that_two_orders_share_is_one_purchase() {
    let shop = open(5, &[(1, 100), (2, 100)]).await;
    let buyers = [(2, None), (1, Some("k")), (1, Some("k")), (2, Some("k"))];
    let answers = together(&shop, &buyers).await;
    assert_eq!(
        all_told(&answers),
        ["90 left", "90 left", "90 left", "idempotency_key_reused"]
    );
    assert_eq!(answers[1].body, answers[2].body);
    shop.assert_sound(5, 200).await;
}

#[tokio::test]
async fn a_poisoned_order_harms_no_other() {
    let shop = open(9, &[(1, 10), (2, 10), (3, 10), (13, 10)]).await;
    shop.sql(
        "create function refuse() returns trigger language plpgsql as $$
         begin raise exception 'user 13 is bad luck'; end $$;
         create trigger refuse before insert on purchase for each row
            when (new.user_id = 13) execute function refuse()",
    )
    .await;
    let buyers = [(1, None), (2, None), (13, None), (3, None)];
    let answers = together(&shop, &buyers).await;
    assert_eq!(
        all_told(&answers),
        ["0 left", "0 left", "internal_error", "0 left"]
    );
    shop.assert_sound(9, 40).await;
}

#[tokio::test]
async fn a_wallet_that_somebody_holds_harms_no_other() {
    let shop = Shop::open_with(|config| config.lock_timeout_ms = 200).await;
    shop.item(1, PRICE, 9).await;
    for user_id in [1, 2, 13] {
        shop.wallet(user_id, 10).await;
    }
    // The first lacks the money, so that the batch behind it begins at once.
    shop.wallet(9, 0).await;
    let held = shop.lock_wallet(13).await;
    let buyers = [(9, None), (1, None), (13, None), (2, None)];
    let answers = together(&shop, &buyers).await;
    assert_eq!(
        all_told(&answers),
        ["insufficient_balance", "0 left", "conflict", "0 left"]
    );
    held.rollback().await.unwrap();
    shop.assert_sound(9, 30).await;
}

#[tokio::test]
async fn nobody_is_told_before_the_commit_that_somebody_else_took_the_last_unit() {
    let shop = open(2, &[(1, 10), (2, 10), (3, 10)]).await;
    shop.sql(
        "create function wait_at_commit() returns trigger language plpgsql as $$
         begin perform pg_advisory_xact_lock(7); return null; end $$;
         create constraint trigger wait_at_commit after insert on purchase
            deferrable initially deferred for each row
            when (new.user_id = 2) execute function wait_at_commit()",
    )
    .await;
    let mut gate = shop.db.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(7)")
        .execute(&mut *gate)
        .await
        .unwrap();
    let lock = shop.lock_item(1).await;
    let mut sent = queue(&shop, &[(1, None), (2, None), (3, None)]).await;
    lock.rollback().await.unwrap();
    assert_eq!(sent.remove(0).await.unwrap().status, 200);
    shop.until_blocked(1).await;
    let mut refused = sent.pop().unwrap();
    let early = timeout(Duration::from_millis(200), &mut refused).await;
    assert!(early.is_err(), "told before the COMMIT: {early:?}");
    gate.rollback().await.unwrap();
    assert_eq!(sent.remove(0).await.unwrap().status, 200);
    assert_eq!(told(&refused.await.unwrap()), "out_of_stock");
}

#[tokio::test]
async fn the_others_are_served_when_the_first_client_hangs_up() {
    let shop = open(5, &[(1, 10), (2, 10), (3, 10)]).await;
    let lock = shop.lock_item(1).await;
    let mut first = TcpStream::connect(shop.address).await.unwrap();
    let request = purchase_request(1, 1, None);
    first.write_all(&request).await.unwrap();
    shop.until_waiting(1).await;
    let address = shop.address;
    let others = [2, 3].map(|user_id| tokio::spawn(buy(address, user_id, 1, None)));
    shop.until_waiting(3).await;
    first.set_zero_linger().unwrap();
    drop(first);
    lock.rollback().await.unwrap();
    for other in others {
        assert_eq!(other.await.unwrap().status, 200);
    }
    // Who left is served, too.
    assert_eq!(shop.number("select count(*) from purchase").await, 3);
    shop.assert_sound(5, 30).await;
}

#[test]
fn any_crowd_is_told_what_it_would_be_told_one_after_another() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shop = runtime.block_on(open(0, &[(1, 0), (2, 0), (3, 0)]));
    let buyer = (1_i64..5, option::of(select(vec!["a", "b", "c"])));
    let crowds = (0_i64..6, vec(0_i64..40, 3), vec(buyer, 2..9));
    for_all(12, &crowds, |(stock, balances, buyers)| {
        runtime.block_on(async {
            shop.sql(format!(
                "truncate purchase;
                 update item set stock = {stock};
                 update wallet set balance = (array{balances:?})[user_id]"
            ))
            .await;
            let wallets = (1..).zip(balances.iter().copied());
            let mut model = Model::new(PRICE, stock, wallets);
            let answers = together(&shop, &buyers).await;
            let expected: Vec<_> = buyers.iter().map(|&buyer| model.buy(buyer)).collect();
            prop_assert_eq!(all_told(&answers), expected);
            let left = shop.number("select stock from item").await;
            prop_assert_eq!(left, model.stock);
            shop.assert_sound(stock, balances.iter().sum()).await;
            Ok(())
        })
    });
}
