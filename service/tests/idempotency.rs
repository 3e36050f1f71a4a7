//! One key, one purchase.

mod common;

use common::Shop;
use common::client::{Answer, buy};
use futures::future::join_all;

/// The orders, all sent at once, and their answers in the same order.
async fn all_at_once(shop: &Shop, orders: &[(i64, i64)], key: &str) -> Vec<Answer> {
    let buy = |&(user_id, item_id): &(i64, i64)| buy(shop.address, user_id, item_id, Some(key));
    join_all(orders.iter().map(buy)).await
}

fn assert_one_200_and_others_422(answers: &[Answer]) {
    let (bought, others): (Vec<_>, Vec<_>) = answers.iter().partition(|each| each.status == 200);
    assert_eq!(bought.len(), 1, "{answers:?}");
    for other in others {
        other.assert_problem(
            422,
            "idempotency_key_reused",
            "another payload under the key",
        );
    }
}

#[tokio::test]
async fn fifty_simultaneous_requests_with_one_key_make_one_purchase_and_one_receipt() {
    let shop = Shop::open().await;
    // The first takes the last unit and the last coin; the others must not be refused for it.
    shop.item(1, 10, 1).await;
    shop.wallet(1, 10).await;
    let answers = all_at_once(&shop, &[(1, 1); 50], "fifty").await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (200, &answers[0].body));
    }
    assert_eq!(shop.number("select count(*) from purchase").await, 1);
    shop.assert_sound(1, 10).await;
}

#[tokio::test]
async fn repeat_after_the_last_unit_and_the_last_coin_returns_the_first_receipt() {
    let shop = Shop::open().await;
    shop.item(1, 10, 1).await;
    shop.wallet(1, 10).await;
    let first = shop.buy_with_key(1, 1, "k").await;
    assert_eq!(first.status, 200);
    assert_eq!(shop.buy_with_key(1, 1, "k").await.body, first.body);
    shop.sql("update item set price = 99").await;
    assert_eq!(shop.buy_with_key(1, 1, "k").await.body, first.body);
    shop.buy(1, 1)
        .await
        .assert_problem(400, "out_of_stock", "without the key");
    shop.assert_sound(1, 10).await;
}

#[tokio::test]
async fn purchases_under_different_keys_or_none_are_different_purchases() {
    let shop = Shop::open().await;
    shop.item(1, 1, 10).await;
    shop.wallet(1, 10).await;
    for key in ["a", "A", "a-"] {
        assert_eq!(shop.buy_with_key(1, 1, key).await.status, 200);
    }
    assert_eq!(shop.buy(1, 1).await.status, 200);
    assert_eq!(shop.buy(1, 1).await.status, 200);
    assert_eq!(shop.number("select count(*) from purchase").await, 5);
}

#[tokio::test]
async fn another_payload_under_a_used_key_is_422() {
    let shop = Shop::open().await;
    shop.item(1, 10, 5).await;
    shop.item(2, 10, 0).await;
    shop.wallet(1, 15).await;
    shop.wallet(2, 50).await;
    assert_eq!(shop.buy_with_key(1, 1, "k").await.status, 200);
    let before = shop.rows().await;
    for (user_id, item_id) in [(2, 1), (1, 2), (2, 2), (1, 9), (9, 1), (9, 9)] {
        let answer = shop.buy_with_key(user_id, item_id, "k").await;
        answer.assert_problem(
            422,
            "idempotency_key_reused",
            &format!("{user_id} {item_id}"),
        );
    }
    assert_eq!(shop.rows().await, before);
}

#[tokio::test]
async fn two_users_who_race_for_one_item_with_one_key_make_one_purchase() {
    let shop = Shop::open().await;
    shop.item(1, 10, 50).await;
    for user_id in 1..=20 {
        shop.wallet(user_id, 10).await;
    }
    let orders: Vec<_> = (1..=20).map(|user_id| (user_id, 1)).collect();
    assert_one_200_and_others_422(&all_at_once(&shop, &orders, "k").await);
    shop.assert_sound(50, 200).await;
}

#[tokio::test]
async fn two_items_that_race_with_one_key_make_one_purchase() {
    let shop = Shop::open().await;
    for id in [1, 2] {
        shop.item(id, 10, 5).await;
        shop.wallet(id, 100).await;
    }
    let mut wallets = [shop.lock_wallet(1).await, shop.lock_wallet(2).await].into_iter();
    // Both have looked for the key and not found it when they wait for their wallets; the
    // key's own constraint must decide.
    let buyers = [(1, 1), (2, 2)];
    let (answers, ()) = futures::join!(all_at_once(&shop, &buyers, "k"), async {
        shop.until_blocked(2).await;
        for wallet in wallets.by_ref() {
            wallet.rollback().await.unwrap();
        }
    });
    assert_one_200_and_others_422(&answers);
    shop.assert_sound(10, 200).await;
}

#[tokio::test]
async fn key_decides_before_the_balance_that_its_own_purchase_took() {
    let shop = Shop::open().await;
    shop.item(1, 10, 5).await;
    shop.item(2, 10, 5).await;
    shop.wallet(1, 10).await;
    let wallet = shop.lock_wallet(1).await;
    let (answers, ()) = futures::join!(all_at_once(&shop, &[(1, 1), (1, 2)], "k"), async {
        shop.until_blocked(2).await;
        wallet.rollback().await.unwrap();
    });
    assert_one_200_and_others_422(&answers);
    shop.assert_sound(10, 10).await;
}

#[tokio::test]
async fn refusal_is_not_remembered() {
    let shop = Shop::open().await;
    shop.item(1, 10, 0).await;
    shop.buy_with_key(1, 1, "k")
        .await
        .assert_problem(400, "out_of_stock", "no stock");
    shop.sql("update item set stock = 1").await;
    shop.buy_with_key(1, 1, "k")
        .await
        .assert_problem(400, "unknown_user", "no wallet");
    shop.wallet(1, 9).await;
    shop.buy_with_key(1, 1, "k")
        .await
        .assert_problem(400, "insufficient_balance", "no money");
    shop.sql("update wallet set balance = 10").await;
    assert_eq!(shop.buy_with_key(1, 1, "k").await.status, 200);
}
