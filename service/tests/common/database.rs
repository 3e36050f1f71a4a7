//! The single place that knows how a test gets its PostgreSQL.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// An empty database of its own.
pub struct Database {
    /// Its URL over TCP.
    pub url: String,
    /// A way in for the test.
    pub pool: PgPool,
}

pub async fn fresh_database() -> Database {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("TEST_DATABASE_URL")
        .expect("TEST_DATABASE_URL: the tests need a server, postgres://user@host:port");
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("service_{}_{number}", std::process::id());
    let mut connection = PgConnection::connect(&format!("{server}/postgres"))
        .await
        .unwrap();
    for statement in ["drop database if exists", "create database"] {
        let statement = AssertSqlSafe(format!("{statement} {name}"));
        connection.execute(statement).await.unwrap();
    }
    connection.close().await.unwrap();
    let url = format!("{server}/{name}");
    let options: PgConnectOptions = url.parse().unwrap();
    let pool = PgPoolOptions::new().connect_with(options).await.unwrap();
    Database { url, pool }
}
