//! The way to a server, and to the databases on it.
//!
//! Two ways in one: a TCP URL that a program in any language understands, and options for our
//! own connections, which take the Unix socket where there is one. No pool is kept: a server may
//! be used from several tokio runtimes, and a connection belongs to one.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::{ServerError, StartError};

/// The longest pause between two attempts to connect to a starting server.
const ATTEMPT_EVERY: Duration = Duration::from_millis(5);

/// A database of its own on a [`Server`](super::Server).
#[derive(Clone, Debug)]
pub struct Database {
    name: String,
    access: Access,
}

impl Database {
    /// The name as the server knows it; the url provider prefixes the one that was asked for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL over TCP, for a program in any language.
    pub fn url(&self) -> String {
        self.access.url.clone()
    }

    /// Its URL with another `host:port` in the server's place, such as a proxy's.
    pub fn url_through(&self, address: SocketAddr) -> String {
        let Parts {
            before,
            user,
            after,
            ..
        } = Parts::of(&self.access.url);
        format!("{before}{user}{address}{after}")
    }

    /// Options to connect with, by the Unix socket where there is one.
    pub fn options(&self) -> PgConnectOptions {
        self.access.options.clone()
    }
}

/// A way to one database of a server.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) url: String,
    pub(super) options: PgConnectOptions,
}

impl Access {
    pub(super) fn database(&self, name: &str) -> Database {
        let mut parts = Parts::of(&self.url);
        let query = parts.after.find('?').map_or("", |at| &parts.after[at..]);
        let after = format!("/{name}{query}");
        parts.after = &after;
        let Parts {
            before,
            user,
            address,
            after,
        } = parts;
        let access = Access {
            url: format!("{before}{user}{address}{after}"),
            options: self.options.clone().database(name),
        };
        Database {
            name: name.to_owned(),
            access,
        }
    }

    /// `host:port`, without the user and the password.
    pub(super) fn address(&self) -> &str {
        Parts::of(&self.url).address
    }

    /// Creates the database `name`, which must be checked already, as a copy of `template`.
    pub(super) async fn create(
        &self,
        name: &str,
        template: Option<&Database>,
    ) -> Result<Database, ServerError> {
        let template = template.map(|template| format!(" template {}", template.name));
        let sql = format!("create database {name}{}", template.unwrap_or_default());
        self.execute(sql, format!("create database {name}")).await?;
        Ok(self.database(name))
    }

    /// Drops the database `name` together with whoever is still connected to it.
    pub(super) async fn drop(&self, name: &str) -> Result<(), ServerError> {
        let sql = format!("drop database if exists {name} with (force)");
        self.execute(sql, format!("drop database {name}")).await
    }

    /// As in `15.18`.
    pub(super) async fn version(&self) -> Result<String, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        let version: String = sqlx::query_scalar("show server_version")
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        Ok(version
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned())
    }

    /// Waits until a connection answers a query, as long as `check` finds nothing wrong.
    ///
    /// The inner `Err` is the last attempt's error, after `bound`.
    pub(super) async fn ready<F, C>(
        &self,
        bound: Duration,
        mut check: F,
    ) -> Result<Result<String, sqlx::Error>, StartError>
    where
        F: FnMut() -> C,
        C: Future<Output = Result<(), StartError>>,
    {
        let deadline = Instant::now() + bound;
        loop {
            check().await?;
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = tokio::time::timeout(left, self.version()).await;
            let answer = answer.unwrap_or_else(|elapsed| Err(io::Error::from(elapsed).into()));
            if answer.is_ok() || Instant::now() >= deadline {
                return Ok(answer);
            }
            tokio::time::sleep(ATTEMPT_EVERY).await;
        }
    }

    async fn execute(&self, sql: String, what: String) -> Result<(), ServerError> {
        let run = async {
            let mut connection: PgConnection = self.options.connect().await?;
            connection.execute(AssertSqlSafe(sql)).await?;
            connection.close().await
        };
        run.await
            .map_err(|source| ServerError::Sql { what, source })
    }
}

/// A URL taken apart just enough to put another address or database into it; whatever else its
/// author wrote stays as it is.
struct Parts<'a> {
    /// `postgres://`
    before: &'a str,
    /// `user:password@`, or empty.
    user: &'a str,
    /// `host:port`
    address: &'a str,
    /// `/database?parameters`
    after: &'a str,
}

impl Parts<'_> {
    fn of(url: &str) -> Parts<'_> {
        let (before, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
        let (authority, after) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, address) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        Parts {
            before,
            user,
            address,
            after,
        }
    }
}

/// Refuses a name that would need quoting somewhere.
pub(super) fn check_name(name: &str) -> Result<(), ServerError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if (1..=40).contains(&name.len()) && name.bytes().all(plain) {
        Ok(())
    } else {
        Err(ServerError::InvalidName(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(url: &str) -> Database {
        let options = PgConnectOptions::new_without_pgpass();
        Access {
            url: url.to_owned(),
            options,
        }
        .database("shop")
    }

    #[test]
    fn url_of_a_database_keeps_user_password_and_parameters() {
        let of = |url| database(url).url();
        assert_eq!(
            of("postgres://a:b@h:1/postgres?sslmode=disable"),
            "postgres://a:b@h:1/shop?sslmode=disable"
        );
        assert_eq!(of("postgresql://h"), "postgresql://h/shop");
        assert_eq!(
            of("postgres://a%40b@h?x=/y"),
            "postgres://a%40b@h/shop?x=/y"
        );
    }

    #[test]
    fn url_through_a_proxy_changes_the_address_alone() {
        let proxied = database("postgres://a:b@h:1/p?x=y").url_through(([127, 0, 0, 1], 9).into());
        assert_eq!(proxied, "postgres://a:b@127.0.0.1:9/shop?x=y");
    }

    #[test]
    fn name_that_needs_quoting_is_refused() {
        assert!(check_name("worker_1").is_ok());
        for name in ["", "Worker", "a-b", "a\"; drop", &"x".repeat(41)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
