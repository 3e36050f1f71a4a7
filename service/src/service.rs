//! Puts the service together: pools, migrations, routes and listener.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::net::TcpListener;
use tokio::time::{timeout, timeout_at};

use crate::admission::Admission;
use crate::config::{Config, ConfigError};
use crate::http;
use crate::locked::LockedPurchase;
use crate::metrics::Metrics;
use crate::observe::observed;
use crate::purchaser::Purchaser;
use crate::server::{self, Limits};
use crate::shop::Shop;

/// The schema of the shop.
pub static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// Connections for plain reads.
const READERS: u32 = 2;

/// How long a plain read waits for one of them.
const READ_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the pools may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A service that listens, and does not serve yet.
#[derive(Debug)]
pub struct Service {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    limits: Limits,
    admission: Arc<Admission>,
    pools: [PgPool; 2],
}

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database could not be reached.
    #[error("could not connect to the database of DATABASE_URL")]
    Connect(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("could not migrate the database")]
    Migrate(#[from] MigrateError),
    /// The address could not be had.
    #[error("could not listen on {host}:{port}")]
    Listen {
        /// The host of the configuration.
        host: String,
        /// The port of the configuration.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
}

impl Service {
    /// Migrates the database and listens, with purchases under row locks.
    ///
    /// # Errors
    /// A [`StartError`].
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let transaction_timeout = Duration::from_millis(config.transaction_timeout_ms);
        Self::start_with(config, |pool| {
            let max_batch = config.max_batch;
            Arc::new(LockedPurchase::new(pool, transaction_timeout, max_batch))
        })
        .await
    }

    /// Like [`Service::start`], with purchases decided by another purchaser on the same pool.
    ///
    /// # Errors
    /// A [`StartError`].
    pub async fn start_with(
        config: &Config,
        purchaser: impl FnOnce(PgPool) -> Arc<dyn Purchaser>,
    ) -> Result<Self, StartError> {
        migrate(config).await?;
        let session_options = config.session_options()?;
        let acquire_timeout = Duration::from_millis(config.acquire_timeout_ms);
        // Dead connections show at BEGIN, where the purchase takes the next one: no ping before.
        let purchases = pool(config.pool_size, acquire_timeout)
            .test_before_acquire(false)
            .connect_with(session_options.clone())
            .await
            .map_err(StartError::Connect)?;
        let reads = pool(READERS, READ_ACQUIRE_TIMEOUT).connect_lazy_with(session_options);

        let admission = Arc::new(Admission::new(
            purchaser(purchases.clone()),
            config.max_waiting,
        ));
        let metrics = Arc::new(Metrics::new(
            Arc::clone(&admission),
            purchases.clone(),
            reads.clone(),
        ));
        let shop = Shop::new(
            config,
            Arc::clone(&admission),
            reads.clone(),
            Arc::clone(&metrics),
        );
        let router = observed(http::router(shop), metrics);
        let limits = Limits {
            idle_timeout: Duration::from_millis(config.idle_timeout_ms),
            shutdown_timeout: Duration::from_millis(config.shutdown_timeout_ms),
        };
        let (listener, address) = listen(config).await?;
        Ok(Self {
            listener,
            address,
            router,
            limits,
            admission,
            pools: [purchases, reads],
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`. Then nothing new is accepted, requests under way finish, also
    /// purchases whose clients have left, and the connections to the database are closed.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let deadline = server::serve(self.listener, self.router, self.limits, shutdown).await;
        if timeout_at(deadline, self.admission.drained())
            .await
            .is_err()
        {
            tracing::warn!("gave up on purchases that outlasted the shutdown");
        }
        for pool in self.pools {
            timeout(CLOSE_TIMEOUT, pool.close()).await.ok();
        }
    }
}

/// Starts the service and serves until `shutdown`.
///
/// # Errors
/// A [`StartError`].
pub async fn run(config: &Config, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
    let service = Service::start(config).await?;
    match &config.trust_user_header {
        Some(header) => tracing::info!(%header, "a gateway says who calls"),
        None => {
            tracing::warn!("callers are trusted to name any user: TRUST_USER_HEADER is not set")
        }
    }
    tracing::info!(address = %service.address(), "listening");
    service.serve(shutdown).await;
    Ok(())
}

/// Brings the schema up to date, on a connection without the timeouts: another replica may be
/// migrating, and then this one waits. A database that is still starting is waited for.
async fn migrate(config: &Config) -> Result<(), StartError> {
    let acquire_timeout = Duration::from_millis(config.acquire_timeout_ms);
    let options: PgConnectOptions = config.connect_options()?;
    let pool = pool(1, acquire_timeout)
        .connect_with(options)
        .await
        .map_err(StartError::Connect)?;
    MIGRATOR.run(&pool).await?;
    pool.close().await;
    Ok(())
}

async fn listen(config: &Config) -> Result<(TcpListener, SocketAddr), StartError> {
    let listen = async {
        let listener = server::bind(&config.host, config.port).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    listen.await.map_err(|source| StartError::Listen {
        host: config.host.clone(),
        port: config.port,
        source,
    })
}

fn pool(size: u32, acquire_timeout: Duration) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(acquire_timeout)
        // To wait is normal in a sale, not worth a warning for each buyer.
        .acquire_slow_threshold(acquire_timeout)
}
