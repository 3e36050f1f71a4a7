//! What the tests of all providers share.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

use std::time::{Duration, Instant};

use rowlock_postgres::{Database, Provider, Server, Settings, StopMode};
use sqlx::{Connection, PgConnection};

pub(crate) async fn start(provider: Provider) -> Server {
    Server::start(&Settings {
        provider,
        ..Settings::from_env()
    })
    .await
    .unwrap()
}

pub(crate) async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

pub(crate) async fn write_note(database: &Database, note: &str) {
    let mut connection = connect(&database.url()).await;
    let create = "create table if not exists note (text text)";
    sqlx::query(create).execute(&mut connection).await.unwrap();
    let insert = "insert into note values ($1)";
    sqlx::query(insert)
        .bind(note)
        .execute(&mut connection)
        .await
        .unwrap();
}

pub(crate) async fn notes(database: &Database) -> Vec<String> {
    let mut connection = connect(&database.url()).await;
    let select = "select text from note order by text";
    sqlx::query_scalar(select)
        .fetch_all(&mut connection)
        .await
        .unwrap()
}

/// Stops and starts `server` in every mode, and looks for what was committed before.
pub(crate) async fn restart_keeps_everything(server: &Server) {
    let database = server.create_database("kept").await.unwrap();
    let mut expected = Vec::new();
    for mode in [StopMode::Fast, StopMode::Immediate, StopMode::Kill] {
        let note = format!("{mode:?}");
        write_note(&database, &note).await;
        expected.push(note);
        expected.sort();
        let held = connect(&database.url()).await;
        let began = Instant::now();
        server.stop_with(mode).await.unwrap();
        let stopped = began.elapsed();
        assert!(
            PgConnection::connect(&database.url()).await.is_err(),
            "{mode:?}: it answers"
        );
        server.start_again().await.unwrap();
        println!(
            "{mode:?}: stopped in {stopped:?}, back after {:?}",
            began.elapsed()
        );
        assert_eq!(notes(&database).await, expected, "{mode:?}");
        drop(held);
    }
}

pub(crate) async fn stopping_twice_and_starting_twice_change_nothing(server: &Server) {
    server.start_again().await.unwrap();
    server.stop_with(StopMode::Fast).await.unwrap();
    server.stop_with(StopMode::Fast).await.unwrap();
    server.restart(StopMode::Immediate).await.unwrap();
    server.create_database("after").await.unwrap();
}

pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
