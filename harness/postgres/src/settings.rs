//! What server is wanted, and from where.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a server comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Provider {
    /// The container where an engine answers and has or can pull the image, else local.
    #[default]
    Auto,
    /// A container of the image that ROWLOCK_PG_IMAGE names.
    Container,
    /// A throwaway cluster made by an installed PostgreSQL.
    Local,
    /// The server that DATABASE_URL names.
    Url,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Provider::Auto => "auto",
            Provider::Container => "container",
            Provider::Local => "local",
            Provider::Url => "url",
        })
    }
}

impl FromStr for Provider {
    type Err = String;

    fn from_str(name: &str) -> Result<Provider, String> {
        let all = [
            Provider::Auto,
            Provider::Container,
            Provider::Local,
            Provider::Url,
        ];
        all.into_iter()
            .find(|provider| provider.to_string() == name)
            .ok_or_else(|| format!("provider {name:?} is not auto, container, local or url"))
    }
}

/// What server is wanted.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it shall come from.
    pub provider: Provider,
    /// Whether a commit waits for the disk. Off, data outlives the server's crash, not the
    /// machine's. Not heeded by the url provider.
    pub durable: bool,
    /// How many connections the server admits. Not heeded by the url provider.
    pub max_connections: u32,
    /// More of PostgreSQL's parameters, each a name and a value. Not heeded by the url provider.
    pub parameters: Vec<(String, String)>,
    /// The directory of `initdb` and `postgres`; looked for when `None`.
    pub pg_bin: Option<PathBuf>,
    /// Where the local provider keeps what `initdb` made, and copies it from; nowhere when `None`.
    pub templates: Option<PathBuf>,
    /// The image of the container provider.
    pub image: String,
    /// Whether this program ends by itself after a signal, with the destructors of all that it has.
    /// Otherwise SIGINT, SIGQUIT and SIGTERM remove its containers, and then end it.
    pub handles_signals: bool,
    /// The server of the url provider.
    pub database_url: Option<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            provider: Provider::Auto,
            durable: false,
            max_connections: 200,
            parameters: Vec::new(),
            pg_bin: None,
            templates: None,
            image: "postgres:latest".to_owned(),
            handles_signals: false,
            database_url: None,
        }
    }
}

impl Settings {
    /// The defaults, with PG_BIN, ROWLOCK_PG_TEMPLATES, ROWLOCK_PG_IMAGE and DATABASE_URL from the environment.
    pub fn from_env() -> Settings {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let defaults = Settings::default();
        Settings {
            pg_bin: set("PG_BIN").map(PathBuf::from),
            templates: set("ROWLOCK_PG_TEMPLATES").map(PathBuf::from),
            image: set("ROWLOCK_PG_IMAGE").unwrap_or(defaults.image),
            database_url: set("DATABASE_URL"),
            ..defaults
        }
    }

    /// The `-c name=value` arguments of `postgres`.
    pub(super) fn server_arguments(&self) -> Vec<String> {
        let max_connections = self.max_connections.to_string();
        let mut parameters = vec![("max_connections", max_connections.as_str())];
        if !self.durable {
            // synchronous_commit and full_page_writes stay on: they are what makes a commit
            // outlive the server's own crash.
            parameters.push(("fsync", "off"));
        }
        parameters.extend(
            self.parameters
                .iter()
                .map(|(name, value)| (&**name, &**value)),
        );
        parameters
            .into_iter()
            .flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")])
            .collect()
    }
}
