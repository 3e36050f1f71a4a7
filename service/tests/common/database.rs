//! The single place that knows how a test gets its PostgreSQL.

use rowlock_proxy::{Address, Control, Proxy};
use sqlx::postgres::{PgPool, PgPoolOptions};

/// An empty database of its own.
pub struct Database {
    /// Its URL over TCP.
    pub url: String,
    /// A way in for the test.
    pub pool: PgPool,
    inner: rowlock_postgres::Database,
}

/// A proxy before a database, that sees every statement and can hold any.
pub struct Proxied {
    /// The database's URL through the proxy.
    pub url: String,
    proxy: Proxy,
}

impl Database {
    pub async fn proxy(&self) -> Proxied {
        let upstream = Address::of(&self.inner.options());
        let proxy = Proxy::start(upstream).await.unwrap();
        Proxied {
            url: self.inner.url_through(proxy.control().address()),
            proxy,
        }
    }
}

impl Proxied {
    pub fn control(&self) -> &Control {
        self.proxy.control()
    }
}

pub async fn fresh_database() -> Database {
    let database = rowlock_postgres::fresh_database("service").await;
    let pool = PgPoolOptions::new()
        .connect_with(database.options())
        .await
        .unwrap();
    Database {
        url: database.url(),
        pool,
        inner: database,
    }
}
