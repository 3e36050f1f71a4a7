//! Configuration from the environment: every variable has a default, and a bad value is an error
//! that names it.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::http::HeaderName;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

/// The longest timeout, in milliseconds: a day.
const MAX_TIMEOUT_MS: u64 = 86_400_000;

/// The most orders of a batch: more makes its statements longer, and no purchase much cheaper.
const MAX_BATCH: u64 = 1_024;

/// Headers that say something else already.
const TAKEN_HEADERS: [&str; 8] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "transfer-encoding",
    "x-request-id",
];

/// How the service runs. All times are in milliseconds.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// `DATABASE_URL`: where the shop's rows are. `postgres://user:password@host:port/database`,
    /// or `postgres:///database?host=/directory&user=user` for a Unix socket. What it leaves out
    /// comes from PGHOST, PGUSER and so on.
    pub database_url: String,
    /// `HOST`: the name or address to listen on.
    pub host: String,
    /// `PORT`: the port to listen on; 0 takes a free one.
    pub port: u16,
    /// `POOL_SIZE`: database connections for purchases. Few, so that those who wait for a hot
    /// row wait here, where waiting is cheap, and not inside the database.
    pub pool_size: u32,
    /// `MAX_WAITING`: purchases under way at a time, waiting ones included; beyond it is a 503.
    pub max_waiting: u32,
    /// `MAX_BATCH`: orders of one item that may share a transaction, if they wait at the same time;
    /// 1 gives each its own.
    pub max_batch: NonZeroUsize,
    /// `ACQUIRE_TIMEOUT_MS`: how long a purchase waits for a connection before it is a 503.
    pub acquire_timeout_ms: u64,
    /// `LOCK_TIMEOUT_MS`: how long a statement waits for a row lock.
    pub lock_timeout_ms: u64,
    /// `STATEMENT_TIMEOUT_MS`: how long a statement may run.
    pub statement_timeout_ms: u64,
    /// `IDLE_IN_TRANSACTION_TIMEOUT_MS`: how long the server keeps a transaction in which
    /// nothing is asked of it.
    pub idle_in_transaction_timeout_ms: u64,
    /// `TRANSACTION_TIMEOUT_MS`: how long one transaction may take in all before it is given up.
    pub transaction_timeout_ms: u64,
    /// `IDLE_TIMEOUT_MS`: how long a client's connection may be idle, or take to send its headers.
    pub idle_timeout_ms: u64,
    /// `BODY_TIMEOUT_MS`: how long a request's body may take to arrive.
    pub body_timeout_ms: u64,
    /// `SHUTDOWN_TIMEOUT_MS`: how long requests under way may take after the stop signal.
    pub shutdown_timeout_ms: u64,
    /// `TRUST_USER_HEADER`: the header in which a gateway says which user it has authenticated.
    /// Unset, any caller may name any user.
    pub trust_user_header: Option<HeaderName>,
}

/// A variable with a value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not a whole number within the variable's range.
    #[error("{name}={value:?}: expected a whole number from {} to {}", .range.start(), .range.end())]
    Number {
        /// The variable.
        name: &'static str,
        /// What it says.
        value: String,
        /// What it may say.
        range: RangeInclusive<u64>,
    },
    /// Nothing to listen on.
    #[error("HOST={value:?}: expected a host name or an address")]
    Host {
        /// What it says.
        value: String,
    },
    /// Not a header of the gateway's own.
    #[error("TRUST_USER_HEADER={value:?}: expected the name of a header that says nothing else")]
    UserHeader {
        /// What it says.
        value: String,
    },
    /// Not the address of a Postgres. The value is not repeated where it may hold a password.
    #[error(
        "DATABASE_URL: expected postgres://user:password@host:port/database, \
         or postgres:///database?host=/directory&user=user for a Unix socket: {reason}"
    )]
    DatabaseUrl {
        /// What is wrong with it.
        reason: String,
    },
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// The first variable with a bad value.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| {
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })
    }

    /// Reads variables from `lookup`, which says a variable's value, if it has one.
    ///
    /// # Errors
    /// The first variable with a bad value.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = |name: &str, default: &str| lookup(name).unwrap_or_else(|| default.to_owned());
        let number = |name, default, range| number(name, lookup(name), default, range);
        let timeout = |name, default_ms| number(name, default_ms, 1..=MAX_TIMEOUT_MS);
        let config = Self {
            database_url: text("DATABASE_URL", "postgres://"),
            host: text("HOST", "127.0.0.1"),
            port: number("PORT", 8080, 0..=u64::from(u16::MAX))? as u16,
            pool_size: number("POOL_SIZE", 8, 1..=1_000)? as u32,
            max_waiting: number("MAX_WAITING", 20_000, 1..=1_000_000)? as u32,
            max_batch: NonZeroUsize::new(number("MAX_BATCH", 64, 1..=MAX_BATCH)? as usize)
                .unwrap_or(NonZeroUsize::MIN),
            acquire_timeout_ms: timeout("ACQUIRE_TIMEOUT_MS", 30_000)?,
            lock_timeout_ms: timeout("LOCK_TIMEOUT_MS", 5_000)?,
            statement_timeout_ms: timeout("STATEMENT_TIMEOUT_MS", 10_000)?,
            idle_in_transaction_timeout_ms: timeout("IDLE_IN_TRANSACTION_TIMEOUT_MS", 10_000)?,
            transaction_timeout_ms: timeout("TRANSACTION_TIMEOUT_MS", 20_000)?,
            idle_timeout_ms: timeout("IDLE_TIMEOUT_MS", 75_000)?,
            body_timeout_ms: timeout("BODY_TIMEOUT_MS", 10_000)?,
            shutdown_timeout_ms: timeout("SHUTDOWN_TIMEOUT_MS", 25_000)?,
            trust_user_header: lookup("TRUST_USER_HEADER").map(header).transpose()?,
        };
        if config.host.trim().is_empty() {
            return Err(ConfigError::Host { value: config.host });
        }
        config.connect_options()?;
        Ok(config)
    }

    /// How to reach the database, with no settings but the name that its sessions bear.
    ///
    /// # Errors
    /// [`ConfigError::DatabaseUrl`].
    pub fn connect_options(&self) -> Result<PgConnectOptions, ConfigError> {
        let error = |reason: String| ConfigError::DatabaseUrl { reason };
        let scheme = self
            .database_url
            .split_once("://")
            .map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("postgres" | "postgresql")) {
            return Err(error("it does not begin with postgres://".to_owned()));
        }
        let options = PgConnectOptions::from_str(&self.database_url)
            .map_err(|cause| error(cause.to_string()))?;
        Ok(options
            .application_name("purchase-service")
            .disable_statement_logging())
    }

    /// How to reach the database for purchases and reads: with the timeouts set on the session.
    ///
    /// # Errors
    /// [`ConfigError::DatabaseUrl`].
    pub fn session_options(&self) -> Result<PgConnectOptions, ConfigError> {
        Ok(self.connect_options()?.options([
            ("default_transaction_isolation", "read committed".to_owned()),
            ("lock_timeout", self.lock_timeout_ms.to_string()),
            ("statement_timeout", self.statement_timeout_ms.to_string()),
            (
                "idle_in_transaction_session_timeout",
                self.idle_in_transaction_timeout_ms.to_string(),
            ),
        ]))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::from_lookup(|_| None).expect("the defaults are valid")
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("pool_size", &self.pool_size)
            .field("max_waiting", &self.max_waiting)
            .field("max_batch", &self.max_batch)
            .field("trust_user_header", &self.trust_user_header)
            .finish_non_exhaustive()
    }
}

fn number(
    name: &'static str,
    value: Option<String>,
    default: u64,
    range: RangeInclusive<u64>,
) -> Result<u64, ConfigError> {
    let Some(value) = value else {
        return Ok(default);
    };
    match value.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(ConfigError::Number { name, value, range }),
    }
}

fn header(value: String) -> Result<HeaderName, ConfigError> {
    match HeaderName::from_str(&value) {
        Ok(name) if !TAKEN_HEADERS.contains(&name.as_str()) => Ok(name),
        _ => Err(ConfigError::UserHeader { value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Result<Config, ConfigError> {
        Config::from_lookup(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn every_variable_has_a_default() {
        let config = Config::default();
        assert_eq!((config.host.as_str(), config.port), ("127.0.0.1", 8080));
        assert_eq!((config.pool_size, config.max_waiting), (8, 20_000));
        assert_eq!(config.max_batch.get(), 64);
        assert_eq!(config.acquire_timeout_ms, 30_000);
    }

    #[test]
    fn a_variable_overrides_its_default() {
        assert_eq!(with("PORT", "0").unwrap().port, 0);
        assert_eq!(with("HOST", "::1").unwrap().host, "::1");
        assert_eq!(with("POOL_SIZE", "3").unwrap().pool_size, 3);
        assert_eq!(with("MAX_BATCH", "1").unwrap().max_batch.get(), 1);
        assert_eq!(with("LOCK_TIMEOUT_MS", "7").unwrap().lock_timeout_ms, 7);
        let header = with("TRUST_USER_HEADER", "X-User-Id")
            .unwrap()
            .trust_user_header;
        assert_eq!(header.unwrap(), "x-user-id");
    }

    #[test]
    fn a_bad_value_is_an_error_that_names_the_variable_and_the_value() {
        for (name, value, message) in [
            (
                "PORT",
                "http",
                r#"PORT="http": expected a whole number from 0 to 65535"#,
            ),
            (
                "PORT",
                "65536",
                r#"PORT="65536": expected a whole number from 0 to 65535"#,
            ),
            (
                "PORT",
                "",
                r#"PORT="": expected a whole number from 0 to 65535"#,
            ),
            (
                "POOL_SIZE",
                "0",
                r#"POOL_SIZE="0": expected a whole number from 1 to 1000"#,
            ),
            (
                "MAX_BATCH",
                "0",
                r#"MAX_BATCH="0": expected a whole number from 1 to 1024"#,
            ),
            (
                "MAX_WAITING",
                "-1",
                r#"MAX_WAITING="-1": expected a whole number from 1 to 1000000"#,
            ),
            (
                "ACQUIRE_TIMEOUT_MS",
                "30s",
                r#"ACQUIRE_TIMEOUT_MS="30s": expected a whole number from 1 to 86400000"#,
            ),
            (
                "HOST",
                " ",
                r#"HOST=" ": expected a host name or an address"#,
            ),
            (
                "TRUST_USER_HEADER",
                "",
                r#"TRUST_USER_HEADER="": expected the name of a header that says nothing else"#,
            ),
            (
                "TRUST_USER_HEADER",
                "X User",
                r#"TRUST_USER_HEADER="X User": expected the name of a header that says nothing else"#,
            ),
            (
                "TRUST_USER_HEADER",
                "Idempotency-Key",
                r#"TRUST_USER_HEADER="Idempotency-Key": expected the name of a header that says nothing else"#,
            ),
        ] {
            assert_eq!(with(name, value).unwrap_err().to_string(), message);
        }
        for name in [
            "LOCK_TIMEOUT_MS",
            "STATEMENT_TIMEOUT_MS",
            "IDLE_IN_TRANSACTION_TIMEOUT_MS",
            "TRANSACTION_TIMEOUT_MS",
            "IDLE_TIMEOUT_MS",
            "BODY_TIMEOUT_MS",
            "SHUTDOWN_TIMEOUT_MS",
        ] {
            let message = with(name, "0").unwrap_err().to_string();
            assert!(message.starts_with(&format!("{name}=\"0\": ")), "{message}");
        }
    }

    #[test]
    fn a_bad_database_url_is_an_error_that_keeps_the_password() {
        for url in [
            "",
            "shop",
            "mysql://u:secret@h/shop",
            "postgres://u:secret@h:99999/shop",
        ] {
            let message = with("DATABASE_URL", url).unwrap_err().to_string();
            assert!(
                message.starts_with("DATABASE_URL: expected postgres://"),
                "{message}"
            );
            assert!(!message.contains("secret"), "{message}");
        }
        let config = with("DATABASE_URL", "postgres://u:secret@h/shop").unwrap();
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn a_unix_socket_is_named_by_its_directory() {
        let url = "postgres:///shop?host=/run/postgresql&port=5433&user=seller";
        let options = with("DATABASE_URL", url)
            .unwrap()
            .connect_options()
            .unwrap();
        assert_eq!(
            options.get_socket().unwrap().to_str(),
            Some("/run/postgresql")
        );
        assert_eq!(
            (options.get_port(), options.get_username()),
            (5433, "seller")
        );
        assert_eq!(options.get_database(), Some("shop"));
    }

    #[test]
    fn sessions_carry_the_timeouts() {
        let options = with("LOCK_TIMEOUT_MS", "1234")
            .unwrap()
            .session_options()
            .unwrap();
        let options = options.get_options().unwrap();
        assert!(options.contains("-c lock_timeout=1234"), "{options}");
        assert!(
            options.contains("-c default_transaction_isolation=read\\ committed"),
            "{options}"
        );
    }
}
