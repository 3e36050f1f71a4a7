//! What each request answers.

mod common;

use common::client::{get, request, send};
use common::{Shop, order};
use futures::future::join_all;
use serde_json::json;

#[tokio::test]
async fn a_purchase_answers_its_receipt_and_moves_the_rows() {
    let shop = Shop::open().await;
    shop.item(1, 30, 2).await;
    shop.wallet(7, 100).await;
    let answer = shop.buy(7, 1).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let receipt = json!({
        "purchase_id": 1, "user_id": 7, "item_id": 1, "price": 30, "balance_left": 70
    });
    assert_eq!(answer.body, receipt);
    let slashless = request(
        "POST",
        "/api/purchase",
        &[("content-type", "application/json; charset=utf-8")],
        Some(order(7, 1).as_bytes()),
    );
    assert_eq!(
        send(shop.address, &slashless).await.body["balance_left"],
        40
    );
    shop.assert_sound(2, 100).await;
    assert_eq!(
        shop.number("select count(*) from purchase where balance_left in (70, 40)")
            .await,
        2
    );
}

#[tokio::test]
async fn each_refusal_has_its_code_and_no_effect() {
    let shop = Shop::open().await;
    shop.item(1, 30, 1).await;
    shop.item(2, 30, 0).await;
    shop.wallet(1, 29).await;
    shop.wallet(2, 30).await;
    let before = shop.rows().await;
    for (user_id, item_id, code) in [
        (1, 1, "insufficient_balance"),
        (2, 2, "out_of_stock"),
        (2, 9, "unknown_item"),
        (9, 1, "unknown_user"),
        (9, 9, "unknown_item"),
        (1, 2, "out_of_stock"),
        (i64::MIN, i64::MAX, "unknown_item"),
    ] {
        let answer = shop.buy(user_id, item_id).await;
        answer.assert_problem(400, code, &order(user_id, item_id));
    }
    assert_eq!(shop.rows().await, before);
    assert_eq!(shop.buy(2, 1).await.body["balance_left"], 0);
}

#[tokio::test]
async fn two_hundred_buyers_at_once_get_exactly_the_stock() {
    let shop = Shop::open().await;
    shop.item(1, 3, 10).await;
    for user_id in 1..=200 {
        shop.wallet(user_id, 3).await;
    }
    let answers = join_all((1..=200).map(|user_id| shop.buy(user_id, 1))).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        10
    );
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer.code() == "out_of_stock")
            .count(),
        190
    );
    shop.assert_sound(10, 600).await;
}

#[tokio::test]
async fn money_is_exact_at_the_edges_of_i64() {
    let shop = Shop::open().await;
    shop.item(1, i64::MAX, 2).await;
    shop.item(2, 0, i64::MAX).await;
    shop.wallet(1, i64::MAX).await;
    shop.wallet(2, i64::MAX - 1).await;
    shop.buy(2, 1)
        .await
        .assert_problem(400, "insufficient_balance", "one too little");
    assert_eq!(shop.buy(1, 1).await.body["balance_left"], 0);
    shop.buy(1, 1)
        .await
        .assert_problem(400, "insufficient_balance", "nothing left");
    assert_eq!(shop.buy(1, 2).await.body["price"], 0);
    assert_eq!(
        shop.number("select stock from item where id = 2").await,
        i64::MAX - 1
    );
}

#[tokio::test]
async fn malformed_requests_are_4xx_problems_without_effect() {
    let shop = Shop::open().await;
    shop.item(1, 1, 10).await;
    shop.wallet(1, 10).await;
    let before = shop.rows().await;
    const JSON: (&str, &str) = ("content-type", "application/json");
    let good = order(1, 1);
    let good = good.as_bytes();
    let long_key = "k".repeat(256);
    let padded = |len: usize| [vec![b' '; len - good.len()], good.to_vec()].concat();

    let invalid_bodies: &[&[u8]] = &[
        b"",
        b"   ",
        b"null",
        b"{}",
        b"[1, 1]",
        b"{\"user_id\": 1}",
        b"{\"user_id\": 1, \"item_id\": 1, \"quantity\": 1}",
        b"{\"user_id\": 1.0, \"item_id\": 1}",
        b"{\"user_id\": \"1\", \"item_id\": 1}",
        b"{\"user_id\": true, \"item_id\": 1}",
        b"{\"user_id\": null, \"item_id\": 1}",
        b"{\"user_id\": 1, \"item_id\": 1, \"item_id\": 1}",
        b"{\"user_id\": 1, \"item_id\": 9223372036854775808}",
        b"{\"user_id\": 1, \"item_id\": 1} 1",
        b"{\"user_id\": 1, \"item_id\": 1",
        b"{\"user_id\": 1, \"item_id\": 1, \"\xff\": 1}",
    ];
    for body in invalid_bodies {
        let answer = send(
            shop.address,
            &request("POST", "/api/purchase/", &[JSON], Some(body)),
        )
        .await;
        answer.assert_problem(400, "invalid_request", &String::from_utf8_lossy(body));
    }

    let large = [
        padded(4097),
        padded(6000),
        padded(100_000),
        padded(3_000_000),
    ];
    for body in &large {
        let answer = send(
            shop.address,
            &request("POST", "/api/purchase/", &[JSON], Some(body)),
        )
        .await;
        answer.assert_problem(413, "body_too_large", &format!("{} bytes", body.len()));
    }

    type Case<'a> = (&'a [(&'a str, &'a str)], u16, &'a str);
    let headers: &[Case] = &[
        (&[], 415, "unsupported_media_type"),
        (
            &[("content-type", "text/plain")],
            415,
            "unsupported_media_type",
        ),
        (
            &[("content-type", "application/json-patch+json")],
            415,
            "unsupported_media_type",
        ),
        (&[JSON, JSON], 415, "unsupported_media_type"),
        (&[JSON, ("idempotency-key", "")], 400, "invalid_request"),
        (&[JSON, ("idempotency-key", "a b")], 400, "invalid_request"),
        (&[JSON, ("idempotency-key", "clé")], 400, "invalid_request"),
        (
            &[JSON, ("idempotency-key", &long_key)],
            400,
            "invalid_request",
        ),
        (
            &[JSON, ("idempotency-key", "k"), ("idempotency-key", "k")],
            400,
            "invalid_request",
        ),
    ];
    for (headers, status, code) in headers {
        let answer = send(
            shop.address,
            &request("POST", "/api/purchase/", headers, Some(good)),
        )
        .await;
        answer.assert_problem(*status, code, &format!("{headers:?}"));
    }

    for (method, path, status, code) in [
        ("POST", "/api/purchase/", 400, "invalid_request"),
        ("GET", "/api/purchase/", 405, "method_not_allowed"),
        ("PUT", "/api/purchase", 405, "method_not_allowed"),
        ("POST", "/api/items", 405, "method_not_allowed"),
        ("DELETE", "/api/items/1", 405, "method_not_allowed"),
        ("PATCH", "/api/wallets/1", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("POST", "/", 405, "method_not_allowed"),
        ("GET", "/shop", 404, "not_found"),
        ("POST", "/api/purchases", 404, "not_found"),
        ("GET", "/api/items/1/2", 404, "not_found"),
        ("GET", "/api/items/one", 400, "invalid_request"),
        ("GET", "/api/items/%ff", 400, "invalid_request"),
        (
            "GET",
            "/api/items/9223372036854775808",
            400,
            "invalid_request",
        ),
        ("GET", "/api/items?after=x", 400, "invalid_request"),
        ("GET", "/api/items?before=1", 400, "invalid_request"),
        ("GET", "/api/items/2", 404, "unknown_item"),
        ("GET", "/api/wallets/2", 404, "unknown_user"),
        ("GET", "/api/wallets/1.5", 400, "invalid_request"),
    ] {
        let answer = send(shop.address, &request(method, path, &[JSON], None)).await;
        answer.assert_problem(status, code, &format!("{method} {path}"));
    }
    assert_eq!(shop.rows().await, before);

    let largest = request("POST", "/api/purchase/", &[JSON], Some(&padded(4096)));
    assert_eq!(
        send(shop.address, &largest).await.status,
        200,
        "4096 bytes are not too many"
    );
}

#[tokio::test]
async fn method_not_allowed_names_the_methods() {
    let shop = Shop::open().await;
    let answer = send(shop.address, &request("GET", "/api/purchase/", &[], None)).await;
    assert_eq!(answer.header("allow"), Some("POST"));
    let answer = send(shop.address, &request("POST", "/api/items", &[], None)).await;
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
}

#[tokio::test]
async fn items_and_wallets_are_shown_as_they_are() {
    let shop = Shop::open().await;
    assert_eq!(
        get(shop.address, "/api/items").await.body,
        json!({"items": [], "next": null})
    );
    shop.item(2, 5, 1).await;
    shop.item(-1, 0, 0).await;
    shop.wallet(7, 12).await;
    let items = get(shop.address, "/api/items").await;
    let (first, second) = (
        json!({"id": -1, "name": "it", "price": 0, "stock": 0}),
        json!({"id": 2, "name": "it", "price": 5, "stock": 1}),
    );
    assert_eq!(items.body, json!({"items": [first, second], "next": null}));
    assert_eq!(get(shop.address, "/api/items/2").await.body, second);
    let wallet = json!({"user_id": 7, "balance": 12});
    assert_eq!(get(shop.address, "/api/wallets/7").await.body, wallet);
    let health = get(shop.address, "/healthz").await;
    assert_eq!(
        (health.status, &health.body),
        (200, &json!({"status": "ok"}))
    );
}

#[tokio::test]
async fn items_come_in_pages() {
    let shop = Shop::open().await;
    shop.sql(
        "insert into item (id, price, stock) select id, 1, 1 from generate_series(1, 1500) id",
    )
    .await;
    let first = get(shop.address, "/api/items").await.body;
    assert_eq!(first["items"].as_array().unwrap().len(), 1000);
    assert_eq!(first["next"], 1000);
    let second = get(shop.address, "/api/items?after=1000").await.body;
    assert_eq!(second["items"].as_array().unwrap().len(), 500);
    assert_eq!(
        (&second["items"][0]["id"], &second["next"]),
        (&json!(1001), &json!(null))
    );
}
