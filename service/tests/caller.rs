//! Whose wallet a request may use, with a gateway that says who calls and without.

mod common;

use axum::http::HeaderName;
use common::client::{Answer, get, request, send};
use common::{Shop, order};
use serde_json::json;

/// Two users, item 1, and a gateway that names its users in `x-user-id`.
async fn guarded_shop() -> Shop {
    let shop = Shop::open_with(|config| {
        config.trust_user_header = Some(HeaderName::from_static("x-user-id"))
    })
    .await;
    shop.item(1, 10, 5).await;
    shop.wallet(1, 100).await;
    shop.wallet(2, 100).await;
    shop
}

/// A purchase for `user_id` that comes through the gateway with these values of its header.
async fn buy_as(shop: &Shop, callers: &[&str], user_id: i64) -> Answer {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(callers.iter().map(|caller| ("X-User-Id", *caller)));
    let body = order(user_id, 1);
    let request = request("POST", "/api/purchase/", &headers, Some(body.as_bytes()));
    send(shop.address, &request).await
}

async fn wallet_as(shop: &Shop, callers: &[&str], user_id: &str) -> Answer {
    let headers: Vec<_> = callers
        .iter()
        .map(|caller| ("x-user-id", *caller))
        .collect();
    let path = format!("/api/wallets/{user_id}");
    send(shop.address, &request("GET", &path, &headers, None)).await
}

#[tokio::test]
async fn caller_whom_the_gateway_names_buys_and_looks_for_himself() {
    let shop = guarded_shop().await;
    let bought = buy_as(&shop, &["1"], 1).await;
    assert_eq!(
        (bought.status, &bought.body["balance_left"]),
        (200, &json!(90))
    );
    let wallet = wallet_as(&shop, &["1"], "1").await;
    assert_eq!(wallet.body, json!({"user_id": 1, "balance": 90}));
    wallet_as(&shop, &["3"], "3").await.assert_problem(
        404,
        "unknown_user",
        "his own, which does not exist",
    );
    shop.assert_sound(5, 200).await;
}

#[tokio::test]
async fn caller_who_names_another_user_is_403_without_effect() {
    let shop = guarded_shop().await;
    let before = shop.rows().await;
    for other in [2, 3, -1, i64::MAX] {
        buy_as(&shop, &["1"], other).await.assert_problem(
            403,
            "not_your_wallet",
            &format!("buys for {other}"),
        );
        // Whether the other wallet exists is nobody's business either.
        wallet_as(&shop, &["1"], &other.to_string())
            .await
            .assert_problem(403, "not_your_wallet", &format!("looks at {other}"));
    }
    assert_eq!(shop.rows().await, before);
}

#[tokio::test]
async fn another_users_key_neither_shows_nor_repeats_a_purchase() {
    let shop = guarded_shop().await;
    let headers = |caller| {
        [
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
            ("x-user-id", caller),
        ]
    };
    let send = async |caller, user_id| {
        let body = order(user_id, 1);
        let headers = headers(caller);
        let request = request("POST", "/api/purchase/", &headers, Some(body.as_bytes()));
        send(shop.address, &request).await
    };
    assert_eq!(send("1", 1).await.status, 200);
    let before = shop.rows().await;
    send("2", 1)
        .await
        .assert_problem(403, "not_your_wallet", "the first receipt");
    send("2", 2)
        .await
        .assert_problem(422, "idempotency_key_reused", "the key");
    assert_eq!(shop.rows().await, before);
}

#[tokio::test]
async fn request_that_the_gateway_does_not_vouch_for_is_401_without_effect() {
    let shop = guarded_shop().await;
    let before = shop.rows().await;
    let cases: [&[&str]; 8] = [
        &[],
        &[""],
        &["one"],
        &["+1"],
        &["01"],
        &["1, 1"],
        &["1", "1"],
        &["1", "2"],
    ];
    for callers in cases {
        buy_as(&shop, callers, 1).await.assert_problem(
            401,
            "unauthenticated",
            &format!("{callers:?}"),
        );
        wallet_as(&shop, callers, "1").await.assert_problem(
            401,
            "unauthenticated",
            &format!("{callers:?}"),
        );
    }
    assert_eq!(shop.rows().await, before);
    for public in ["/api/items", "/api/items/1", "/healthz"] {
        assert_eq!(get(shop.address, public).await.status, 200, "{public}");
    }
}

#[tokio::test]
async fn without_a_gateway_the_header_says_nothing() {
    let shop = Shop::open().await;
    shop.item(1, 10, 5).await;
    shop.wallet(2, 100).await;
    assert_eq!(buy_as(&shop, &["1"], 2).await.status, 200);
    assert_eq!(wallet_as(&shop, &["1", "one"], "2").await.status, 200);
}
