//! The document at `/openapi.json` against the routes and what they answer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderName;
use common::client::{Answer, buy, get, read_answer, request, send};
use common::interface::{Documented, Interface};
use common::{Shop, order};
use purchase_service::Config;
use purchase_service::admission::Admission;
use purchase_service::locked::LockedPurchase;
use purchase_service::metrics::Metrics;
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The page is for people: its paths belong to its own script and may change with it.
const PAGE: [&str; 4] = ["/", "/buy", "/stock", "/assets/{name}"];

const JSON: (&str, &str) = ("content-type", "application/json");

/// Documented, and not to be seen in any way that a test has; each with its reason.
const NOT_PROVOKED: [(&str, &str, u16, &str); 0] = [];

async fn document(shop: &Shop) -> Interface {
    Interface::of(get(shop.address, "/openapi.json").await.body)
}

fn guard(config: &mut Config) {
    config.trust_user_header = Some(HeaderName::from_static("x-user-id"));
}

/// A shop with an item and a wallet, and little patience.
async fn open_shop(configure: impl FnOnce(&mut Config)) -> Shop {
    let shop = Shop::open_with(|config| {
        config.lock_timeout_ms = 20;
        config.body_timeout_ms = 200;
        configure(config);
    })
    .await;
    shop.item(1, 10, 50).await;
    shop.wallet(1, 100).await;
    shop
}

/// What a service answers, each answer found in its document.
struct Seen {
    interface: Interface,
    answers: BTreeSet<Documented>,
}

impl Seen {
    fn note(&mut self, method: &str, path: &str, answer: &Answer) {
        let found = self.interface.find(method, path, answer);
        let found = found.unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        self.answers.extend(found);
    }

    async fn ask(&mut self, shop: &Shop, method: &str, path: &str, headers: &[(&str, &str)]) {
        let answer = send(shop.address, &request(method, path, headers, None)).await;
        self.note(method, path, &answer);
    }

    /// Sends a body that need not be an order.
    async fn post(&mut self, shop: &Shop, path: &str, headers: &[(&str, &str)], body: &str) {
        let request = request("POST", path, headers, Some(body.as_bytes()));
        let answer = send(shop.address, &request).await;
        self.note("POST", path, &answer);
    }
}

#[tokio::test]
async fn each_route_is_documented_and_each_documented_route_is_there() {
    let shop = Shop::open().await;
    let interface = document(&shop).await;
    let page = PAGE.map(str::to_owned);
    let known: BTreeSet<_> = interface.paths().into_iter().chain(page).collect();
    assert_eq!(known, routes());
    for path in interface.paths() {
        let path_of_one = path.replace("{id}", "1").replace("{user_id}", "1");
        let refused = send(shop.address, &request("BREW", &path_of_one, &[], None)).await;
        let mut allowed: BTreeSet<_> = refused
            .header("allow")
            .unwrap()
            .split(',')
            .map(str::to_owned)
            .collect();
        // The document says it once for all: HEAD is answered wherever GET is.
        if allowed.contains("GET") {
            assert!(allowed.remove("HEAD"), "{path}");
        }
        assert_eq!(allowed, interface.methods(&path), "{path}");
    }
}

/// The paths of the service's router. Only its `Debug` tells them, each in quotes.
fn routes() -> BTreeSet<String> {
    let config = Config::default();
    let pool = PgPoolOptions::new().connect_lazy_with(config.connect_options().unwrap());
    let purchaser = Arc::new(LockedPurchase::new(
        pool.clone(),
        Duration::ZERO,
        config.max_batch,
    ));
    let admission = Arc::new(Admission::new(purchaser, 1));
    let metrics = Metrics::new(Arc::clone(&admission), pool.clone(), pool.clone());
    let metrics = Arc::new(metrics);
    let shop = purchase_service::shop::Shop::new(&config, admission, pool, metrics);
    let router = format!("{:?}", purchase_service::http::router(shop));
    let quoted = router.split('"').skip(1).step_by(2);
    let paths = quoted.filter(|word| word.starts_with('/') && !word.contains('*'));
    paths.map(str::to_owned).collect()
}

#[tokio::test]
async fn each_documented_answer_is_given_and_no_other() {
    let guarded = open_shop(guard).await;
    let mut seen = Seen {
        interface: document(&guarded).await,
        answers: BTreeSet::new(),
    };
    for path in ["/api/purchase", "/api/purchase/"] {
        let shop = open_shop(|_| {}).await;
        purchases(&mut seen, &shop, path).await;
        hindered_purchases(&mut seen, &shop, path).await;
        overload(&mut seen, path).await;
        seen.post(&guarded, path, &[JSON], &order(1, 1)).await;
        let caller = ("x-user-id", "2");
        seen.post(&guarded, path, &[JSON, caller], &order(1, 1))
            .await;
    }
    for headers in [&[][..], &[("x-user-id", "2")]] {
        seen.ask(&guarded, "GET", "/api/wallets/1", headers).await;
    }
    let shop = open_shop(|_| {}).await;
    reads(&mut seen, &shop).await;
    broken_reads(&mut seen, &shop).await;

    let not_provoked = NOT_PROVOKED.map(|(method, path, status, code)| {
        (method.to_owned(), path.to_owned(), status, code.to_owned())
    });
    let documented = seen.interface.answers();
    let unseen: BTreeSet<_> = documented.difference(&seen.answers).cloned().collect();
    assert_eq!(unseen, not_provoked.into());
}

async fn purchases(seen: &mut Seen, shop: &Shop, path: &str) {
    shop.item(2, 10, 0).await;
    shop.wallet(2, 0).await;
    for (user_id, item_id) in [(1, 1), (1, 2), (2, 1), (1, 9), (9, 1)] {
        seen.post(shop, path, &[JSON], &order(user_id, item_id))
            .await;
    }
    let key = ("idempotency-key", "k");
    seen.post(shop, path, &[JSON, key], &order(1, 1)).await;
    seen.post(shop, path, &[JSON, key], &order(2, 1)).await;
    seen.post(shop, path, &[JSON], "[1, 1]").await;
    seen.post(shop, path, &[], &order(1, 1)).await;
    seen.post(shop, path, &[JSON], &" ".repeat(5_000)).await;
    seen.ask(shop, "GET", path, &[]).await;

    let whole = request("POST", path, &[JSON], Some(order(1, 1).as_bytes()));
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    stream.write_all(&whole[..whole.len() - 1]).await.unwrap();
    seen.note("POST", path, &read_answer(&mut stream).await);
}

async fn hindered_purchases(seen: &mut Seen, shop: &Shop, path: &str) {
    let lock = shop.lock_item(1).await;
    seen.post(shop, path, &[JSON], &order(1, 1)).await;
    lock.rollback().await.unwrap();
    shop.sql("alter table item add constraint backstop check (stock > 48) not valid")
        .await;
    seen.post(shop, path, &[JSON], &order(1, 1)).await;
    shop.close().await;
    seen.post(shop, path, &[JSON], &order(1, 1)).await;
}

async fn overload(seen: &mut Seen, path: &str) {
    let shop = open_shop(|config| {
        config.lock_timeout_ms = 60_000;
        config.max_waiting = 1;
    })
    .await;
    let lock = shop.lock_item(1).await;
    let first = tokio::spawn(buy(shop.address, 1, 1, None));
    shop.until_blocked(1).await;
    seen.post(&shop, path, &[JSON], &order(1, 1)).await;
    lock.rollback().await.unwrap();
    assert_eq!(first.await.unwrap().status, 200);
}

async fn reads(seen: &mut Seen, shop: &Shop) {
    for path in [
        "/api/items",
        "/api/items?after=1",
        "/api/items?after=x",
        "/api/items/1",
        "/api/items/x",
        "/api/items/9",
        "/api/wallets/1",
        "/api/wallets/x",
        "/api/wallets/9",
        "/healthz",
        "/metrics",
        "/openapi.json",
    ] {
        seen.ask(shop, "GET", path, &[]).await;
        seen.ask(shop, "HEAD", path, &[]).await;
        seen.ask(shop, "DELETE", path, &[]).await;
    }
}

async fn broken_reads(seen: &mut Seen, shop: &Shop) {
    shop.sql("alter table item rename to gone; alter table wallet rename to gone_too")
        .await;
    let paths = ["/api/items", "/api/items/1", "/api/wallets/1", "/healthz"];
    for path in paths {
        seen.ask(shop, "GET", path, &[]).await;
    }
    shop.close().await;
    for path in paths {
        seen.ask(shop, "GET", path, &[]).await;
    }
}

#[tokio::test]
async fn only_a_service_with_a_gateway_documents_what_the_gateway_brings() {
    for (configure, is_guarded) in [
        (guard as fn(&mut Config), true),
        (|_: &mut Config| {}, false),
    ] {
        let shop = open_shop(configure).await;
        let document = get(shop.address, "/openapi.json").await.body;
        let scheme = &document["components"]["securitySchemes"]["gateway"]["name"];
        assert_eq!(scheme == "x-user-id", is_guarded);
        let answers = Interface::of(document).answers();
        let unauthenticated = answers.iter().filter(|(_, _, status, _)| *status == 401);
        assert_eq!(unauthenticated.count(), if is_guarded { 3 } else { 0 });
    }
}

#[tokio::test]
async fn limits_in_the_document_are_those_of_the_service() {
    let shop = Shop::open().await;
    let document = get(shop.address, "/openapi.json").await.body;
    let purchase = &document["paths"]["/api/purchase/"]["post"];
    assert_eq!(purchase["requestBody"]["x-max-bytes"], 4096);
    let parameters = purchase["parameters"].as_array().unwrap();
    let key = parameters
        .iter()
        .find(|each| each["name"] == "Idempotency-Key");
    assert_eq!(key.unwrap()["schema"]["maxLength"], 255);
    let schemas = &document["components"]["schemas"];
    let user_id = &schemas["Order"]["properties"]["user_id"];
    assert_eq!(
        (&user_id["minimum"], &user_id["maximum"]),
        (&json!(i64::MIN), &json!(i64::MAX))
    );
    assert_eq!(schemas["Order"]["additionalProperties"], false);
    assert_eq!(schemas["Items"]["properties"]["items"]["maxItems"], 1000);
}

#[tokio::test]
async fn answer_that_is_not_documented_is_found_out() {
    let shop = open_shop(|_| {}).await;
    let interface = document(&shop).await;
    let path = "/api/items/9";
    let right = get(shop.address, path).await;
    let find = |method: &str, answer: &Answer| interface.find(method, path, answer);
    assert_eq!(find("GET", &right).unwrap().unwrap().3, "unknown_item");
    let with = |change: &dyn Fn(&mut Answer)| {
        let mut wrong = right.clone();
        change(&mut wrong);
        find("GET", &wrong).unwrap_err()
    };
    for (change, says) in [
        (
            &(|wrong: &mut Answer| wrong.status = 410) as &dyn Fn(&mut Answer),
            "410 is not documented",
        ),
        (
            &|wrong| wrong.body["code"] = "gone".into(),
            "the code \"gone\" is not documented",
        ),
        (&|wrong| wrong.body["more"] = 1.into(), "the members"),
        (
            &|wrong| wrong.headers.retain(|(name, _)| name != "x-request-id"),
            "X-Request-Id is missing",
        ),
        (
            &|wrong| wrong.headers.retain(|(name, _)| name != "content-type"),
            "for application/problem+json",
        ),
        (
            &|wrong| wrong.headers.push(("retry-after".into(), "1".into())),
            "retry-after is not documented",
        ),
    ] {
        let error = with(change);
        assert!(error.contains(says), "{error}");
    }
    assert!(
        find("DELETE", &right)
            .unwrap_err()
            .contains("is not documented")
    );
}
