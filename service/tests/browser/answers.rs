//! Every answer in its words.

use std::time::Duration;

use axum::http::HeaderName;

use crate::common::client::buy;
use crate::driver::{Kind, Visitor, is_here};
use crate::stage::Stage;

#[tokio::test]
async fn who_comes_too_late_reads_that_it_is_sold_out() {
    if !is_here() {
        return;
    }
    let stage = Stage::open(Kind::default()).await;
    stage.visit().await;
    stage.browser.keep_picture("before").await;
    stage
        .shop
        .sql("insert into wallet (user_id, balance) values (3, 1000)")
        .await;
    assert_eq!(buy(stage.shop.address, 3, 1, None).await.status, 200);
    stage.browser.click_buy(1).await;
    stage
        .browser
        .until_said("Sold out: somebody else took the last one.")
        .await;
    let gone = "document.querySelector('.item[data-item=\"1\"] button').disabled &&
         document.activeElement.id === 'status'";
    stage.browser.until(gone).await;
    stage.browser.keep_picture("sold-out").await;
    stage.browser.close().await;
}

#[tokio::test]
async fn who_has_too_little_reads_so() {
    if !is_here() {
        return;
    }
    let stage = Stage::open(Kind::default()).await;
    stage.browser.visit(stage.front.address, "/?user=2").await;
    stage.browser.click_buy(1).await;
    stage
        .browser
        .until_said("Your wallet does not hold enough for this.")
        .await;
    stage.browser.close().await;
}

#[tokio::test]
async fn who_had_to_give_way_reads_to_come_again() {
    if !is_here() {
        return;
    }
    let stage = Stage::open_with(Kind::default(), |config| config.lock_timeout_ms = 20).await;
    stage.visit().await;
    let lock = stage.shop.lock_item(2).await;
    stage.browser.click_buy(2).await;
    stage
        .browser
        .until_said("Too many wanted this at the same moment.")
        .await;
    lock.rollback().await.unwrap();
    stage.browser.click_buy(2).await;
    stage.browser.until_said("Bought").await;
    stage.assert_bought_once().await;
}

#[tokio::test]
async fn a_crowded_shop_is_asked_again_when_it_says_and_not_before() {
    if !is_here() {
        return;
    }
    let stage = Stage::open_with(Kind::default(), |config| config.max_waiting = 1).await;
    stage
        .shop
        .sql("insert into wallet (user_id, balance) values (3, 1000)")
        .await;
    stage.visit().await;
    let mut held = stage.hold_commits();
    let address = stage.shop.address;
    let rival = tokio::spawn(async move { buy(address, 3, 1, None).await });
    held.commit().await;
    stage.browser.click_buy(2).await;
    stage.browser.until_said("The shop is crowded.").await;
    held.let_go();
    assert_eq!(rival.await.unwrap().status, 200);
    stage.browser.until_said("Bought").await;
    let posts = stage.front.posts();
    assert!(posts.len() >= 2, "{posts:?}");
    for pair in posts.windows(2) {
        assert_eq!(pair[0].key, pair[1].key);
        // Retry-After says one second; its back-off alone would be half of that at first.
        assert!(
            pair[1].at - pair[0].at >= Duration::from_secs(1),
            "{posts:?}"
        );
    }
    assert_eq!(stage.purchases().await, 2);
}

#[tokio::test]
async fn behind_a_gateway_whoever_is_signed_in_buys_and_nobody_else() {
    if !is_here() {
        return;
    }
    let stage = Stage::open_with(Kind::default(), |config| {
        config.trust_user_header = Some(HeaderName::from_static("x-user-id"));
    })
    .await;
    stage.front.sign_in(1);
    stage.browser.visit(stage.front.address, "/").await;
    stage.browser.click_buy(2).await;
    stage.browser.until_said("Bought").await;
    stage.assert_bought_once().await;
    // Somebody else signs in while the page is open.
    stage.front.sign_in(2);
    stage.browser.click_buy(2).await;
    stage
        .browser
        .until_said("You may not do that in this wallet's name.")
        .await;
    stage.assert_bought_once().await;
}
