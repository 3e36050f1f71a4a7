//! One face for all providers.

use std::time::{Duration, Instant};

use super::access::{self, Access, Database};
use super::container::Container;
use super::local::Local;
use super::url::Url;
use super::{Provider, ServerError, Settings, StartError};

/// How long a wanted image may take to come, and one that could be done without.
const PULLED_WITHIN: Duration = Duration::from_secs(300);
const PULLED_FOR_AUTO_WITHIN: Duration = Duration::from_secs(60);

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

impl StopMode {
    /// The signal that it is done by.
    pub(super) fn signal_name(self) -> &'static str {
        match self {
            StopMode::Fast => "SIGINT",
            StopMode::Immediate => "SIGQUIT",
            StopMode::Kill => "SIGKILL",
        }
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
    Container(Box<Container>),
    Local(Local),
    Url(Box<Url>),
}

impl Server {
    /// Starts, or for the url provider finds, a server that answers queries.
    ///
    /// # Errors
    /// Says what was tried, why it failed, and what to install.
    pub async fn start(settings: &Settings) -> Result<Server, StartError> {
        match settings.provider {
            Provider::Auto => Server::auto(settings).await,
            Provider::Container => Server::container(settings, PULLED_WITHIN).await,
            Provider::Local => Server::local(settings).await,
            Provider::Url => Server::url(settings).await,
        }
    }

    async fn auto(settings: &Settings) -> Result<Server, StartError> {
        let container = match Server::container(settings, PULLED_FOR_AUTO_WITHIN).await {
            Ok(server) => return Ok(server),
            Err(error) => error,
        };
        match Server::local(settings).await {
            Ok(mut server) => {
                let why = container.to_string();
                let why = why.lines().next().unwrap_or_default();
                server
                    .description
                    .push_str(&format!("; not the container provider: {why}"));
                Ok(server)
            }
            Err(local) => Err(StartError::NoneServes {
                tried: format!("  container: {container}\n  local: {local}"),
            }),
        }
    }

    async fn container(settings: &Settings, patience: Duration) -> Result<Server, StartError> {
        let started = Instant::now();
        let container = Container::start(settings, patience).await?;
        let access = container.access();
        let version = access.version().await.unwrap_or_default();
        let place = format!("{} at {}", settings.image, access.address());
        let description = describe("container", &version, &place, started);
        Ok(Server {
            backend: Backend::Container(Box::new(container)),
            access,
            description,
        })
    }

    async fn local(settings: &Settings) -> Result<Server, StartError> {
        let started = Instant::now();
        let local = Local::start(settings).await?;
        let place = local.binaries.directory.display().to_string();
        let description = describe("local", &local.binaries.version, &place, started);
        Ok(Server {
            access: local.access(),
            backend: Backend::Local(local),
            description,
        })
    }

    async fn url(settings: &Settings) -> Result<Server, StartError> {
        let started = Instant::now();
        let url = Url::start(settings).await?;
        let access = url.access();
        // The address alone: the rest of the URL may hold a password.
        let description = describe("url", &url.version, access.address(), started);
        Ok(Server {
            backend: Backend::Url(Box::new(url)),
            access,
            description,
        })
    }

    /// Where it came from; never `Auto`.
    pub fn provider(&self) -> Provider {
        match &self.backend {
            Backend::Container(_) => Provider::Container,
            Backend::Local(_) => Provider::Local,
            Backend::Url(_) => Provider::Url,
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
        self.create(name, None).await
    }

    /// Creates a database that holds all that `template` does; nobody may be connected to that.
    ///
    /// # Errors
    /// As [`Server::create_database`].
    pub async fn copy_database(
        &self,
        name: &str,
        template: &Database,
    ) -> Result<Database, ServerError> {
        self.create(name, Some(template)).await
    }

    async fn create(
        &self,
        name: &str,
        template: Option<&Database>,
    ) -> Result<Database, ServerError> {
        access::check_name(name)?;
        match &self.backend {
            Backend::Url(url) => url.create_database(name, template).await,
            _ => self.access.create(name, template).await,
        }
    }

    /// Drops a database together with whoever is connected to it. Databases need not be dropped
    /// one by one: the server takes them away at its end.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn drop_database(&self, database: &Database) -> Result<(), ServerError> {
        match &self.backend {
            Backend::Url(url) => url.drop_database(database.name()).await,
            _ => self.access.drop(database.name()).await,
        }
    }

    /// Whether it can be stopped and started again; not so for the url provider.
    pub fn can_restart(&self) -> bool {
        !matches!(self.backend, Backend::Url(_))
    }

    /// Stops the server and returns once it has ended; nothing happens if it has already.
    ///
    /// # Errors
    /// `Unsupported` by the url provider, or when it does not end in time.
    pub async fn stop_with(&self, mode: StopMode) -> Result<(), ServerError> {
        match &self.backend {
            Backend::Container(container) => container.stop_with(mode).await,
            Backend::Local(local) => local.stop_with(mode).await,
            Backend::Url(_) => Err(self.unsupported("stop the server")),
        }
    }

    /// Starts a stopped server at the same address with the same data, and returns once it
    /// answers queries; nothing happens if it runs.
    ///
    /// # Errors
    /// `Unsupported` by the url provider, or when it does not come back.
    pub async fn start_again(&self) -> Result<(), ServerError> {
        match &self.backend {
            Backend::Container(container) => container.start_again().await,
            Backend::Local(local) => local.start_again().await,
            Backend::Url(_) => Err(self.unsupported("start the server")),
        }
    }

    /// [`stop_with`](Server::stop_with) and [`start_again`](Server::start_again). Whoever cancels it leaves a
    /// server of which another `start_again` makes one that answers.
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
            Backend::Container(container) => container.remove().await,
            Backend::Local(local) => local.remove().await,
            Backend::Url(url) => url.drop_all().await,
        }
    }

    fn unsupported(&self, action: &'static str) -> ServerError {
        ServerError::Unsupported {
            provider: self.provider(),
            action,
        }
    }
}

fn describe(provider: &str, version: &str, place: &str, started: Instant) -> String {
    let seconds = started.elapsed().as_secs_f64();
    format!("{provider} PostgreSQL {version} ({place}), ready in {seconds:.2} s")
}
