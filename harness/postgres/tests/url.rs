//! The url provider: databases of its own on a server that is there, and nothing else touched.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

use rowlock_postgres::{Provider, Server, Settings, StopMode, shared_local};
use sqlx::Executor;
use support::{connect, notes, write_note};

mod support;

/// A server with one database, which stands for somebody else's.
async fn lender() -> (Server, String) {
    let lender = support::start(Provider::Local).await;
    let url = lender.create_database("precious").await.unwrap().url();
    (lender, url)
}

async fn borrow_from(url: &str) -> Server {
    let settings = Settings {
        provider: Provider::Url,
        database_url: Some(url.to_owned()),
        ..Settings::default()
    };
    Server::start(&settings).await.unwrap()
}

async fn error_for(database_url: Option<&str>) -> String {
    let settings = Settings {
        provider: Provider::Url,
        database_url: database_url.map(str::to_owned),
        ..Settings::default()
    };
    Server::start(&settings).await.unwrap_err().to_string()
}

async fn databases(url: &str) -> Vec<String> {
    let select = "select datname::text from pg_database where not datistemplate order by 1";
    sqlx::query_scalar(select)
        .fetch_all(&mut connect(url).await)
        .await
        .unwrap()
}

#[tokio::test]
async fn databases_have_names_of_their_own_and_are_gone_after_stop() {
    let (_lender, url) = lender().await;
    let server = borrow_from(&url).await;
    println!("{}", server.description());
    let database = server.create_database("shop").await.unwrap();
    assert!(database.name().starts_with("rowlock_") && database.name().ends_with("_shop"));
    write_note(&database, "here").await;
    assert_eq!(notes(&database).await, ["here"]);
    let _user = connect(&database.url()).await;
    server.stop().await.unwrap();
    assert_eq!(databases(&url).await, ["postgres", "precious"]);
}

#[tokio::test]
async fn drop_and_panic_leave_no_database_behind() {
    let (_lender, url) = lender().await;
    let server = borrow_from(&url).await;
    server.create_database("dropped").await.unwrap();
    drop(server);
    assert_eq!(databases(&url).await, ["postgres", "precious"]);

    let server = borrow_from(&url).await;
    let task = tokio::spawn(async move {
        server.create_database("panicked").await.unwrap();
        panic!("as a failing test would");
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(databases(&url).await, ["postgres", "precious"]);
}

#[tokio::test]
async fn two_harnesses_share_a_server_and_drop_only_their_own() {
    let (_lender, url) = lender().await;
    let (one, two) = (borrow_from(&url).await, borrow_from(&url).await);
    one.create_database("same").await.unwrap();
    let kept = two.create_database("same").await.unwrap();
    one.stop().await.unwrap();
    assert_eq!(databases(&url).await, ["postgres", "precious", kept.name()]);
    two.stop().await.unwrap();
}

#[tokio::test]
async fn name_in_use_is_refused_and_its_database_dropped_once() {
    let (_lender, url) = lender().await;
    let server = borrow_from(&url).await;
    let first = server.create_database("same").await.unwrap();
    let error = server
        .create_database("same")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("already exists"), "{error}");
    assert_eq!(
        databases(&url).await,
        ["postgres", "precious", first.name()]
    );
    server.drop_database(&first).await.unwrap();
    assert_eq!(databases(&url).await, ["postgres", "precious"]);
}

#[tokio::test]
async fn borrowed_server_is_neither_stopped_nor_started() {
    let (_lender, url) = lender().await;
    let server = borrow_from(&url).await;
    assert!(!server.can_restart());
    let error = server
        .restart(StopMode::Fast)
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "the url provider cannot stop the server; use local or container"
    );
}

#[tokio::test]
async fn unusable_url_is_told_with_its_reason_and_without_its_password() {
    assert!(
        error_for(None)
            .await
            .starts_with("DATABASE_URL is not set; set DATABASE_URL to")
    );
    let other = error_for(Some("mysql://a:secret@h/x")).await;
    assert!(
        other.starts_with("DATABASE_URL does not begin with postgres://"),
        "{other}"
    );
    let silent = error_for(Some("postgres://a:secret@127.0.0.1:1/x")).await;
    assert!(
        silent.contains("does not answer") && !silent.contains("secret"),
        "{silent}"
    );
}

#[tokio::test]
async fn user_who_may_not_create_databases_is_refused_at_once() {
    let server = shared_local().await;
    let database = server.create_database("guarded").await.unwrap();
    connect(&database.url())
        .await
        .execute("create role guest login")
        .await
        .unwrap();
    let error = error_for(Some(&database.url().replace("postgres@", "guest@"))).await;
    assert!(error.contains("user may not create databases"), "{error}");
}
