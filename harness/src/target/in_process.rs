//! The service's HTTP layer in this process, in front of any way to purchase.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use purchase_service::locked::LockedPurchase;
use purchase_service::purchaser::Purchaser;
use purchase_service::{Config, Service};
use sqlx::PgPool;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{OnConflict, TargetError};

/// Makes the purchase that stands behind the service's HTTP layer.
#[derive(Clone, Copy)]
pub struct BuildPurchaser {
    /// What a report calls it.
    pub name: &'static str,
    /// What it does where it meets others.
    pub on_conflict: OnConflict,
    /// Makes it on the service's pool.
    pub build: fn(PgPool) -> Arc<dyn Purchaser>,
}

/// Our service's own purchase, under row locks, each in a transaction of its own.
pub const OURS: BuildPurchaser = BuildPurchaser {
    name: "purchase-service",
    on_conflict: OnConflict::TriesAgain,
    build: |pool| {
        Arc::new(LockedPurchase::new(
            pool,
            TRANSACTION_TIMEOUT,
            NonZeroUsize::MIN,
        ))
    },
};

/// As the service's configuration has it by default.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(20);

impl fmt::Debug for BuildPurchaser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BuildPurchaser").field(&self.name).finish()
    }
}

/// A service that runs on the current runtime.
#[derive(Debug)]
pub(super) struct InProcess {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Drop for InProcess {
    /// Whoever does not wait for its end does not want the requests under way to be finished.
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl InProcess {
    pub(super) async fn start(
        build: BuildPurchaser,
        url: &str,
        env: &[(String, String)],
    ) -> Result<Self, TargetError> {
        let settings = |name: &str| match name {
            "DATABASE_URL" => Some(url.to_owned()),
            "PORT" => Some("0".to_owned()),
            name => env
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone()),
        };
        let config = Config::from_lookup(settings).map_err(|error| error.into());
        let config = config.map_err(TargetError::InProcess)?;
        let service = Service::start_with(&config, build.build).await;
        let service = service.map_err(TargetError::InProcess)?;
        let address = service.address();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(service.serve(async {
            // A sender that is gone stops the service too.
            let _ = stopped.await;
        }));
        Ok(InProcess {
            address,
            stop: Some(stop),
            serving,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn stop(mut self) {
        // Both fail only where the service has ended already.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = (&mut self.serving).await;
    }
}
