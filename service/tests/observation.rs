//! What the service says of each request: its id, its line in the log, its place in the metrics.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::HashSet;
use std::time::Duration;

use common::client::{Answer, buy, get, purchase_request, request, send};
use common::database::fresh_database;
use common::process::{command, listening, signal};
use common::{BOUND, Shop};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The value of the series whose line begins with `series`.
fn value(metrics: &Answer, series: &str) -> Option<f64> {
    let mut lines = metrics.body.as_str().unwrap().lines();
    let line = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

async fn metrics(shop: &Shop) -> Answer {
    let metrics = get(shop.address, "/metrics").await;
    assert_eq!(metrics.status, 200);
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(metrics.header("content-type"), Some(content_type));
    metrics
}

fn request_with_id(method: &str, path: &str, ids: &[&str]) -> Vec<u8> {
    let headers: Vec<_> = ids.iter().map(|id| ("X-Request-Id", *id)).collect();
    request(method, path, &headers, None)
}

#[tokio::test]
async fn every_answer_bears_the_id_of_its_request() {
    let shop = Shop::open().await;
    for (method, path, status) in [
        ("GET", "/api/items", 200),
        ("GET", "/api/items/one", 400),
        ("GET", "/api/items/1", 404),
        ("GET", "/nowhere", 404),
        ("DELETE", "/api/items", 405),
        ("POST", "/api/purchase/", 415),
        ("GET", "/metrics", 200),
    ] {
        let answer = send(shop.address, &request_with_id(method, path, &["trace-7"])).await;
        let id = answer.header("x-request-id");
        assert_eq!((answer.status, id), (status, Some("trace-7")), "{path}");
    }
    let long = "i".repeat(129);
    let mut made = HashSet::new();
    for ids in [&[][..], &[""], &["a b"], &["clé"], &[&long], &["a", "a"]] {
        let answer = send(shop.address, &request_with_id("GET", "/healthz", ids)).await;
        let id = answer.header("x-request-id").unwrap();
        let is_sound = !id.is_empty() && id.len() < 100 && id.bytes().all(|b| b.is_ascii_graphic());
        assert!(is_sound && made.insert(id.to_owned()), "{id} for {ids:?}");
    }
}

#[tokio::test]
async fn each_request_is_one_line_of_the_log() {
    let database = fresh_database().await;
    let url = database.url.as_str();
    let mut child = command(&[("DATABASE_URL", url), ("PORT", "0")])
        .spawn()
        .unwrap();
    let (address, mut log) = listening(&mut child).await;
    let rows = "insert into item values (1, '', 1, 1); insert into wallet values (1, 100)";
    sqlx::raw_sql(rows).execute(&database.pool).await.unwrap();
    for (request, says) in [
        (
            purchase_request(1, 1, None),
            "method=\"POST\" route=/api/purchase/ status=200 outcome=\"ok\" latency_us=",
        ),
        (
            purchase_request(1, 1, None),
            "method=\"POST\" route=/api/purchase/ status=400 outcome=\"out_of_stock\" latency_us=",
        ),
        (
            request("GET", "/api/items/7", &[], None),
            "method=\"GET\" route=/api/items/{id} status=404 outcome=\"unknown_item\" latency_us=",
        ),
        (
            request("BREW", "/tea", &[], None),
            "method=\"other\" route=other status=404 outcome=\"not_found\" latency_us=",
        ),
    ] {
        let answer = send(address, &request).await;
        let id = answer.header("x-request-id").unwrap();
        let line = log.next().await;
        let begins = format!("request{{id={id}}}: purchase_service::observe: served ");
        assert!(line.contains(" INFO ") && line.contains(&begins), "{line}");
        assert!(line.contains(says), "{line}\n{says}");
    }
    signal(&child, Signal::TERM);
    assert!(log.next().await.contains("stopping"), "and no other line");
}

#[tokio::test]
async fn what_is_logged_of_a_request_bears_its_id() {
    let database = fresh_database().await;
    let url = database.url.as_str();
    let variables = [("DATABASE_URL", url), ("PORT", "0"), ("RUST_LOG", "error")];
    // At this level it does not say where it listens.
    let port = {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        free.local_addr().unwrap().port()
    };
    let port = port.to_string();
    let mut child = command(&variables).env("PORT", &port).spawn().unwrap();
    let mut log = common::process::Log::of(&mut child);
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    timeout(BOUND, async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .unwrap();
    let rows = "insert into item values (1, '', 1, 1); insert into wallet values (1, 100);
        alter table item add constraint backstop check (stock > 0)";
    sqlx::raw_sql(rows).execute(&database.pool).await.unwrap();
    let answer = buy(address, 1, 1, None).await;
    answer.assert_problem(500, "internal_error", "the backstop");
    let id = answer.header("x-request-id").unwrap();
    let line = log.next().await;
    let begins = format!("ERROR request{{id={id}}}: purchase_service::problem: purchase failed");
    assert!(line.contains(&begins), "{line}");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_outcome() {
    let shop = Shop::open().await;
    shop.item(1, 10, 1).await;
    shop.wallet(1, 10).await;
    assert_eq!(shop.buy(1, 1).await.status, 200);
    shop.buy(1, 1).await;
    shop.buy(1, 1).await;
    for path in ["/a", "/b", "/api/purchase/1", "/%ff"] {
        get(shop.address, path).await;
    }
    send(shop.address, &request("BREW", "/a", &[], None)).await;
    send(shop.address, &request("HACK", "/a", &[], None)).await;
    let metrics = metrics(&shop).await;
    for (labels, count) in [
        (
            r#"method="POST",route="/api/purchase/",status="200",outcome="ok""#,
            1.0,
        ),
        (
            r#"method="POST",route="/api/purchase/",status="400",outcome="out_of_stock""#,
            2.0,
        ),
        (
            r#"method="GET",route="other",status="404",outcome="not_found""#,
            4.0,
        ),
        (
            r#"method="other",route="other",status="404",outcome="not_found""#,
            2.0,
        ),
    ] {
        let series = format!("shop_requests_total{{{labels}}}");
        assert_eq!(value(&metrics, &series), Some(count), "{metrics:?}");
    }
    let of_purchases = |name: &str| {
        let series = format!("shop_request_duration_seconds_{name}");
        value(&metrics, &series).unwrap()
    };
    assert_eq!(of_purchases(r#"count{route="/api/purchase/"}"#), 3.0);
    assert_eq!(
        of_purchases(r#"bucket{route="/api/purchase/",le="+Inf"}"#),
        3.0
    );
    let seconds = of_purchases(r#"sum{route="/api/purchase/"}"#);
    assert!(seconds > 0.0 && seconds < 3.0 * BOUND.as_secs_f64());
    let requests = "shop_requests_total{";
    let text = metrics.body.as_str().unwrap();
    let series = text.lines().filter(|line| line.starts_with(requests));
    assert_eq!(
        series.count(),
        4,
        "an unknown path or method makes no series"
    );
}

#[tokio::test]
async fn what_the_page_refuses_is_counted_by_its_problem() {
    let shop = Shop::open().await;
    shop.item(1, 10, 1).await;
    shop.wallet(1, 10).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for (body, status) in [
        ("user_id=1&item_id=1&key=a", 303),
        ("user_id=1&item_id=1&key=b", 400),
        ("user_id=1", 400),
    ] {
        let posted = request("POST", "/buy", &form, Some(body.as_bytes()));
        assert_eq!(send(shop.address, &posted).await.status, status, "{body}");
    }
    assert_eq!(get(shop.address, "/?user=2").await.status, 404);
    let metrics = metrics(&shop).await;
    for labels in [
        r#"method="POST",route="/buy",status="303",outcome="ok""#,
        r#"method="POST",route="/buy",status="400",outcome="out_of_stock""#,
        r#"method="POST",route="/buy",status="400",outcome="invalid_request""#,
        r#"method="GET",route="/",status="404",outcome="unknown_user""#,
    ] {
        let series = format!("shop_requests_total{{{labels}}}");
        assert_eq!(value(&metrics, &series), Some(1.0), "{metrics:?}");
    }
}

#[tokio::test]
async fn orders_that_wait_and_connections_in_use_are_shown() {
    let shop = Shop::open_with(|config| config.pool_size = 2).await;
    shop.item(1, 1, 10).await;
    shop.wallet(1, 10).await;
    let gauges = [
        "shop_orders_waiting",
        r#"shop_pool_connections{pool="purchases",state="in_use"}"#,
    ];
    let read = async |shop: &Shop| {
        let metrics = metrics(shop).await;
        gauges.map(|series| value(&metrics, series).unwrap())
    };
    assert_eq!(read(&shop).await, [0.0, 0.0]);
    let lock = shop.lock_item(1).await;
    let buyers: Vec<_> = (0..5)
        .map(|_| tokio::spawn(buy(shop.address, 1, 1, None)))
        .collect();
    shop.until(
        "five orders wait, the first of them on a connection",
        async |shop| read(shop).await == [5.0, 1.0],
    )
    .await;
    lock.rollback().await.unwrap();
    for buyer in buyers {
        assert_eq!(buyer.await.unwrap().status, 200);
    }
    shop.until("nothing waits, and the connection is idle", async |shop| {
        let idle = r#"shop_pool_connections{pool="purchases",state="idle"}"#;
        read(shop).await == [0.0, 0.0] && value(&metrics(shop).await, idle) == Some(1.0)
    })
    .await;
    // Those that came while the first was under way shared the next transaction.
    let metrics = metrics(&shop).await;
    let value = |series| value(&metrics, series).unwrap();
    assert_eq!(value("shop_batch_orders_sum"), 5.0);
    assert!(value("shop_batch_orders_count") <= 2.0, "{metrics:?}");
    assert_eq!(value("shop_batch_wait_seconds_count"), 5.0);
}

#[tokio::test]
async fn request_whose_client_leaves_is_counted_as_unanswered() {
    let shop = Shop::open().await;
    shop.item(1, 1, 10).await;
    shop.wallet(1, 10).await;
    let lock = shop.lock_item(1).await;
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    stream
        .write_all(&purchase_request(1, 1, None))
        .await
        .unwrap();
    shop.until_blocked(1).await;
    drop(stream);
    shop.until("it is counted", async |shop| {
        let labels = r#"method="POST",route="/api/purchase/",status="0",outcome="unanswered""#;
        let series = format!("shop_requests_total{{{labels}}}");
        value(&metrics(shop).await, &series) == Some(1.0)
    })
    .await;
    lock.rollback().await.unwrap();
    shop.assert_sound(10, 10).await;
}

#[tokio::test]
async fn log_that_nobody_reads_holds_nobody_up() {
    let database = fresh_database().await;
    let url = database.url.as_str();
    let variables = [("DATABASE_URL", url), ("PORT", "0")];
    let mut child = command(&variables).spawn().unwrap();
    let (address, unread) = listening(&mut child).await;
    // A line each, some 170 bytes: more than twice what a pipe holds.
    for _ in 0..1_000 {
        assert_eq!(get(address, "/healthz").await.status, 200);
    }
    signal(&child, Signal::TERM);
    let ended = timeout(BOUND, child.wait()).await.unwrap().unwrap();
    assert!(ended.success());
    drop(unread);
}
