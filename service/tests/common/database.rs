//! The single place that knows how a test gets its PostgreSQL.

use sqlx::postgres::{PgPool, PgPoolOptions};

/// An empty database of its own.
pub struct Database {
    /// Its URL over TCP.
    pub url: String,
    /// A way in for the test.
    pub pool: PgPool,
}

pub async fn fresh_database() -> Database {
    let database = rowlock::postgres::fresh_database("service").await;
    let pool = PgPoolOptions::new()
        .connect_with(database.options())
        .await
        .unwrap();
    Database {
        url: database.url(),
        pool,
    }
}
