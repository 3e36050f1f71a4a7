//! The binary, its start and its end.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::process::Stdio;

use common::client::{buy, get, purchase_request, read_answer};
use common::database::fresh_database;
use common::process::{Log, command, listening, signal};
use common::{BOUND, Shop};
use futures::future::join_all;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

#[tokio::test]
async fn replicas_that_start_at_once_on_an_empty_database_all_serve() {
    let database = fresh_database().await;
    let url = database.url.as_str();
    let variables = [("DATABASE_URL", url), ("PORT", "0"), ("POOL_SIZE", "2")];
    let mut replicas: Vec<_> = (0..4)
        .map(|_| command(&variables).spawn().unwrap())
        .collect();
    let addresses = join_all(replicas.iter_mut().map(listening)).await;
    let rows = "insert into item values (1, '', 1, 100); insert into wallet values (1, 100)";
    sqlx::raw_sql(rows).execute(&database.pool).await.unwrap();
    for (child, (address, _log)) in replicas.iter_mut().zip(addresses) {
        assert_eq!(get(address, "/healthz").await.status, 200);
        assert_eq!(buy(address, 1, 1, None).await.status, 200);
        signal(child, Signal::TERM);
        assert!(
            timeout(BOUND, child.wait())
                .await
                .unwrap()
                .unwrap()
                .success()
        );
    }
}

#[tokio::test]
async fn both_stop_signals_end_the_process_cleanly() {
    let database = fresh_database().await;
    let variables = [("DATABASE_URL", database.url.as_str()), ("PORT", "0")];
    for stop in [Signal::TERM, Signal::INT] {
        let mut child = command(&variables).spawn().unwrap();
        let (address, _log) = listening(&mut child).await;
        let idle = TcpStream::connect(address).await.unwrap();
        signal(&child, stop);
        assert!(
            timeout(BOUND, child.wait())
                .await
                .unwrap()
                .unwrap()
                .success(),
            "{stop:?}"
        );
        drop(idle);
    }
}

#[tokio::test]
async fn service_out_of_file_descriptors_serves_again_when_they_are_free() {
    let database = fresh_database().await;
    let mut limited = Command::new("sh");
    let script = concat!(
        "ulimit -n 48 && exec ",
        env!("CARGO_BIN_EXE_purchase-service")
    );
    limited
        .args(["-c", script])
        .env("DATABASE_URL", &database.url)
        .env("PORT", "0");
    let mut child = limited
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (address, mut log) = listening(&mut child).await;
    // The kernel takes them all; the service can accept only some.
    let clients = join_all((0..100).map(|_| TcpStream::connect(address))).await;
    assert!(clients.iter().all(Result::is_ok));
    log.after("cannot accept").await;
    drop(clients);
    assert_eq!(get(address, "/healthz").await.status, 200);
}

#[tokio::test]
async fn the_log_says_at_start_whose_word_is_taken_for_who_calls() {
    let database = fresh_database().await;
    let url = ("DATABASE_URL", database.url.as_str());
    let port = ("PORT", "0");
    let mut trusting = command(&[url, port]).spawn().unwrap();
    Log::of(&mut trusting)
        .after("callers are trusted to name any user")
        .await;
    let header = ("TRUST_USER_HEADER", "X-User-Id");
    let mut guarded = command(&[url, port, header]).spawn().unwrap();
    let said = Log::of(&mut guarded)
        .after("a gateway says who calls")
        .await;
    assert_eq!(said, " header=x-user-id");
}

#[tokio::test]
async fn bad_configuration_ends_the_process_with_one_clear_line() {
    for (name, value, says) in [
        (
            "PORT",
            "eighty",
            "purchase-service: PORT=\"eighty\": expected a whole number",
        ),
        (
            "POOL_SIZE",
            "0",
            "purchase-service: POOL_SIZE=\"0\": expected a whole number",
        ),
        (
            "TRUST_USER_HEADER",
            "x user",
            "purchase-service: TRUST_USER_HEADER=\"x user\": expected the name of a header",
        ),
        (
            "DATABASE_URL",
            "shop",
            "purchase-service: DATABASE_URL: expected postgres://",
        ),
    ] {
        let mut child = command(&[(name, value)]).spawn().unwrap();
        let mut error = String::new();
        let mut stderr = child.stderr.take().unwrap();
        timeout(BOUND, stderr.read_to_string(&mut error))
            .await
            .unwrap()
            .unwrap();
        let status = child.wait().await.unwrap();
        assert_eq!(status.code(), Some(1));
        assert!(
            error.starts_with(says) && error.lines().count() == 1,
            "{error}"
        );
    }
}

#[tokio::test]
async fn address_in_use_is_a_clear_error() {
    let database = fresh_database().await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = purchase_service::Config {
        database_url: database.url,
        port,
        ..purchase_service::Config::default()
    };
    let error = purchase_service::Service::start(&config).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("could not listen on 127.0.0.1:{port}")
    );
}

#[tokio::test]
async fn requests_under_way_finish_after_the_stop_signal() {
    let mut shop = Shop::open().await;
    shop.item(1, 1, 10).await;
    shop.wallet(1, 10).await;
    let lock = shop.lock_item(1).await;
    let answered = tokio::spawn(buy(shop.address, 1, 1, None));
    let mut left = TcpStream::connect(shop.address).await.unwrap();
    left.write_all(&purchase_request(1, 1, None)).await.unwrap();
    shop.until_waiting(2).await;
    left.set_zero_linger().unwrap();
    drop(left);
    let mut kept_alive = TcpStream::connect(shop.address).await.unwrap();
    kept_alive
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: shop\r\n\r\n")
        .await
        .unwrap();
    kept_alive.readable().await.unwrap();

    let served = shop.stop();
    shop.until("new connections are refused", async |shop| {
        TcpStream::connect(shop.address).await.is_err()
    })
    .await;
    assert_eq!(
        read_answer(&mut kept_alive).await.status,
        200,
        "and then closed, being idle"
    );
    assert!(!served.is_finished());
    lock.rollback().await.unwrap();
    assert_eq!(answered.await.unwrap().status, 200);
    timeout(BOUND, served).await.unwrap().unwrap();
    assert_eq!(
        shop.number("select count(*) from purchase").await,
        2,
        "also the client's that left"
    );
    shop.until("no session is left", async |shop| {
        shop.sessions("true").await == 0
    })
    .await;
}

#[tokio::test]
async fn shutdown_is_bounded() {
    let mut shop = Shop::open_with(|config| config.shutdown_timeout_ms = 50).await;
    shop.item(1, 1, 10).await;
    shop.wallet(1, 10).await;
    let lock = shop.lock_item(1).await;
    let mut buyer = TcpStream::connect(shop.address).await.unwrap();
    buyer
        .write_all(&purchase_request(1, 1, None))
        .await
        .unwrap();
    shop.until_blocked(1).await;
    timeout(BOUND, shop.stop()).await.unwrap().unwrap();
    lock.rollback().await.unwrap();
}
