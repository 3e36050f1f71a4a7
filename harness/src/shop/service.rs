//! The shop's own service as a target: in this process before any way to purchase, or as this
//! program started again.

use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use purchase_service::locked::LockedPurchase;
use purchase_service::purchaser::Purchaser;
use purchase_service::{Config, Service};
use sqlx::PgPool;

use crate::target::{Keys, Local, OnConflict, START_TIMEOUT, Serving, TargetSpec};

/// Makes the purchase that stands behind the service's HTTP layer.
#[derive(Clone, Copy)]
pub struct BuildPurchaser {
    /// What a report calls it.
    pub name: &'static str,
    /// What it does where it meets others.
    pub on_conflict: OnConflict,
    /// What it promises of idempotency keys.
    pub keys: Keys,
    /// Makes it on the service's pool.
    pub build: fn(PgPool) -> Arc<dyn Purchaser>,
}

/// Our service's own purchase, under row locks, each in a transaction of its own.
pub const OURS: BuildPurchaser = BuildPurchaser {
    name: "purchase-service",
    on_conflict: OnConflict::TriesAgain,
    keys: Keys::Promised,
    build: |pool| locked(pool, NonZeroUsize::MIN),
};

/// Our service's own purchase, up to `max_batch` of one item in a transaction.
pub(crate) fn locked(pool: PgPool, max_batch: NonZeroUsize) -> Arc<dyn Purchaser> {
    Arc::new(LockedPurchase::new(pool, TRANSACTION_TIMEOUT, max_batch))
}

/// As the service's configuration has it by default.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(20);

/// Our service in processes of its own: `rowlock`, which is `program`, started again.
pub fn ours(program: &Path, replicas: usize) -> TargetSpec {
    started_again(program, &["target"], OURS.name.into(), OURS, replicas)
}

/// A mutant in processes of its own, likewise.
pub fn mutant(program: &Path, mutant: BuildPurchaser, replicas: usize) -> TargetSpec {
    let args = ["target", "--mutant", mutant.name];
    let name = format!("mutant {}", mutant.name);
    started_again(program, &args, name, mutant, replicas)
}

fn started_again(
    program: &Path,
    args: &[&str],
    name: String,
    purchaser: BuildPurchaser,
    replicas: usize,
) -> TargetSpec {
    TargetSpec::Command {
        program: program.to_owned(),
        args: args.iter().copied().map(str::to_owned).collect(),
        replicas,
        name,
        start_timeout: START_TIMEOUT,
        on_conflict: purchaser.on_conflict,
        keys: purchaser.keys,
    }
}

impl fmt::Debug for BuildPurchaser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BuildPurchaser").field(&self.name).finish()
    }
}

impl Local for BuildPurchaser {
    fn name(&self) -> &str {
        self.name
    }

    fn on_conflict(&self) -> OnConflict {
        self.on_conflict
    }

    fn keys(&self) -> Keys {
        self.keys
    }

    fn start<'a>(
        &'a self,
        url: &'a str,
        env: &'a [(String, String)],
    ) -> BoxFuture<'a, Result<Serving, Box<dyn Error + Send + Sync>>> {
        async move {
            let config = Config::from_lookup(|name| match name {
                "DATABASE_URL" => Some(url.to_owned()),
                "PORT" => Some("0".to_owned()),
                name => env
                    .iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| value.clone()),
            })?;
            let service = Service::start_with(&config, self.build).await?;
            Ok(Serving::spawn(service.address(), |stopped| {
                service.serve(stopped)
            }))
        }
        .boxed()
    }
}
