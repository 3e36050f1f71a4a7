//! A real PostgreSQL for a run: made for it, or lent by whoever runs one.
//!
//! Three providers stand behind one [`Server`]: `container` (a Docker engine), `local` (an
//! installed PostgreSQL's own programs) and `url` (a server that is there). Whatever a provider
//! makes is taken away when its `Server` is dropped, also on a panic.
//!
//! It makes empty databases; what is in them is the caller's. It keeps no connection and no
//! pool, so that one server may serve several tokio runtimes.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

mod access;
mod account;
mod binaries;
mod children;
mod error;
mod local;
mod program;
mod shared;

pub use access::Database;
pub use error::{ServerError, StartError};
pub use shared::{fresh_database, shared_local};

use access::Access;
use local::Local;

/// Where a server comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, clap::ValueEnum)]
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

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopMode {
    /// Open transactions are rolled back, then the server writes everything out (SIGINT).
    Fast,
    /// The server drops everything at once and recovers at its next start (SIGQUIT).
    Immediate,
    /// All its processes are killed at one moment, as a power cut would do (SIGKILL).
    Kill,
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
    /// The image of the container provider.
    pub image: String,
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
            image: "postgres:latest".to_owned(),
            database_url: None,
        }
    }
}

impl Settings {
    /// The defaults, with PG_BIN, ROWLOCK_PG_IMAGE and DATABASE_URL from the environment.
    pub fn from_env() -> Settings {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let defaults = Settings::default();
        Settings {
            pg_bin: set("PG_BIN").map(PathBuf::from),
            image: set("ROWLOCK_PG_IMAGE").unwrap_or(defaults.image),
            database_url: set("DATABASE_URL"),
            ..defaults
        }
    }

    /// The `-c name=value` arguments of `postgres`.
    fn server_arguments(&self) -> Vec<String> {
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

/// A running PostgreSQL; dropping it stops it and removes all that was made for it.
#[derive(Debug)]
pub struct Server {
    backend: Backend,
    access: Access,
    description: String,
}

#[derive(Debug)]
enum Backend {
    Local(Local),
}

impl Server {
    /// Starts, or for the url provider finds, a server that answers queries.
    ///
    /// # Errors
    /// Says what was tried, why it failed, and what to install.
    pub async fn start(settings: &Settings) -> Result<Server, StartError> {
        match settings.provider {
            Provider::Auto | Provider::Local => Server::local(settings).await,
            other => Err(StartError::Url {
                what: format!("the {other} provider is not there yet"),
            }),
        }
    }

    async fn local(settings: &Settings) -> Result<Server, StartError> {
        let started = Instant::now();
        let local = Local::start(settings).await?;
        let description = format!(
            "local PostgreSQL {} ({}), ready in {:.2} s",
            local.binaries.version,
            local.binaries.directory.display(),
            started.elapsed().as_secs_f64()
        );
        Ok(Server {
            access: local.access(),
            backend: Backend::Local(local),
            description,
        })
    }

    /// Where it came from; never `Auto`.
    pub fn provider(&self) -> Provider {
        match &self.backend {
            Backend::Local(_) => Provider::Local,
        }
    }

    /// One line for people: provider, version, place, and why `auto` passed others over.
    pub fn description(&self) -> String {
        self.description.clone()
    }

    /// Creates an empty database; `name` must be free, save for the url provider, which prefixes
    /// it.
    ///
    /// # Errors
    /// When the name would need quoting, or the server refuses.
    pub async fn create_database(&self, name: &str) -> Result<Database, ServerError> {
        access::check_name(name)?;
        match &self.backend {
            Backend::Local(_) => self.access.create(name).await,
        }
    }

    /// Drops a database together with whoever is connected to it. Databases need not be dropped
    /// one by one: the server takes them away at its end.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn drop_database(&self, database: &Database) -> Result<(), ServerError> {
        self.access.drop(database.name()).await
    }

    /// Whether it can be stopped and started again; not so for the url provider.
    pub fn can_restart(&self) -> bool {
        match &self.backend {
            Backend::Local(_) => true,
        }
    }

    /// Stops the server and returns once it has ended; nothing happens if it has already.
    ///
    /// # Errors
    /// `Unsupported` by the url provider, or when it does not end in time.
    pub async fn stop_with(&self, mode: StopMode) -> Result<(), ServerError> {
        match &self.backend {
            Backend::Local(local) => local.stop_with(mode).await,
        }
    }

    /// Starts a stopped server at the same address with the same data, and returns once it
    /// answers queries; nothing happens if it runs.
    ///
    /// # Errors
    /// `Unsupported` by the url provider, or when it does not come back.
    pub async fn start_again(&self) -> Result<(), ServerError> {
        match &self.backend {
            Backend::Local(local) => local.start_again().await,
        }
    }

    /// [`stop_with`](Server::stop_with) and [`start_again`](Server::start_again).
    ///
    /// # Errors
    /// As theirs.
    pub async fn restart(&self, mode: StopMode) -> Result<(), ServerError> {
        self.stop_with(mode).await?;
        self.start_again().await
    }

    /// Stops it and removes all that was made for it, and unlike drop reports what fails.
    ///
    /// # Errors
    /// When something could not be taken away.
    pub async fn stop(self) -> Result<(), ServerError> {
        match self.backend {
            Backend::Local(local) => local.stop_with(StopMode::Immediate).await,
        }
    }
}
