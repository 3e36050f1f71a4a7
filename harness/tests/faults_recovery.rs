//! What the checks after a fault are worth: services that are right until something breaks.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt};
use purchase_service::locked::LockedPurchase;
use purchase_service::order::{IdempotencyKey, Order};
use purchase_service::purchaser::{Outcome, PurchaseError, Purchaser};
use rowlock::progress::Progress;
use rowlock::setting::Setting;
use rowlock::shop::BuildPurchaser;
use rowlock::shop::campaign::{self, Campaign, Case, Plan};
use rowlock::target::{Keys, OnConflict, TargetSpec};
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_testing::tool::python;
use sqlx::PgPool;

/// What a service keeps of a purchase that failed.
#[derive(Clone, Copy)]
enum Scar {
    /// One connection less.
    LostConnection,
    /// For a while it answers nobody, and then goes on as if nothing had been.
    Freeze(Duration),
    /// Whoever comes again with the key is refused.
    BurntKey,
}

struct Scarred {
    right: Arc<LockedPurchase>,
    pool: PgPool,
    scar: Scar,
    frozen_until: Mutex<Option<Instant>>,
    burnt: Mutex<HashSet<IdempotencyKey>>,
}

fn scarred(pool: PgPool, scar: Scar) -> Arc<dyn Purchaser> {
    let right = LockedPurchase::new(pool.clone(), Duration::from_secs(20), NonZeroUsize::MIN);
    Arc::new(Scarred {
        right: Arc::new(right),
        pool,
        scar,
        frozen_until: Mutex::default(),
        burnt: Mutex::default(),
    })
}

impl Scarred {
    async fn keep_scar(&self, key: Option<&IdempotencyKey>) {
        match self.scar {
            Scar::LostConnection => std::mem::forget(self.pool.acquire().await),
            Scar::Freeze(time) => {
                *lock(&self.frozen_until) = Some(Instant::now() + time);
            }
            Scar::BurntKey => lock(&self.burnt).extend(key.cloned()),
        }
    }
}

impl Purchaser for Scarred {
    fn purchase(
        self: Arc<Self>,
        order: Order,
        key: Option<IdempotencyKey>,
    ) -> BoxFuture<'static, Result<Outcome, PurchaseError>> {
        async move {
            let frozen_until = *lock(&self.frozen_until);
            if let Some(until) = frozen_until {
                tokio::time::sleep_until(until.into()).await;
            }
            if key
                .as_ref()
                .is_some_and(|key| lock(&self.burnt).contains(key))
            {
                return Err(PurchaseError::Conflict("this key has failed before".into()));
            }
            let outcome = Arc::clone(&self.right).purchase(order, key.clone()).await;
            if outcome.is_err() {
                self.keep_scar(key.as_ref()).await;
            }
            outcome
        }
        .boxed()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lost statement: an UPDATE in the middle of the transaction.
const LOST_UPDATE: &str = "purchase.5.drop-before";

async fn play(target: TargetSpec, case: &str) -> Campaign {
    let progress = Progress::hidden();
    let setting = Setting {
        server: rowlock_postgres::shared_local().await,
        target: &target,
        target_env: Vec::new(),
        trace: None,
        seed: Seed(3),
        patience: Duration::from_secs(30),
        progress: &progress,
    };
    let plan = Plan {
        only: vec![case.parse::<Case>().expect(case)],
        ..Plan::default()
    };
    campaign::run(&setting, &plan)
        .await
        .expect("the environment is well")
}

async fn violated_in_process(
    name: &'static str,
    build: fn(PgPool) -> Arc<dyn Purchaser>,
) -> Vec<String> {
    let target = TargetSpec::in_process(BuildPurchaser {
        name,
        on_conflict: OnConflict::TriesAgain,
        keys: Keys::AsSeen,
        build,
    });
    violated(&play(target, LOST_UPDATE).await)
}

fn violated(campaign: &Campaign) -> Vec<String> {
    campaign
        .played
        .iter()
        .flat_map(|played| &played.findings)
        .filter(|finding| finding.verdict() == Some(Verdict::Violation))
        .map(|finding| finding.name.clone())
        .collect()
}

#[tokio::test]
async fn a_pool_that_has_lost_a_connection_is_not_whole() {
    let build = |pool| scarred(pool, Scar::LostConnection);
    let violated = violated_in_process("lost-connection", build).await;
    assert_eq!(violated, ["pool-is-whole"]);
}

#[tokio::test]
async fn a_target_that_answers_nobody_for_eight_seconds_does_not_serve_within_five() {
    let build = |pool| scarred(pool, Scar::Freeze(Duration::from_secs(8)));
    let violated = violated_in_process("freeze", build).await;
    assert!(
        violated.contains(&"serves-again".to_owned()),
        "{violated:?}"
    );
}

#[tokio::test]
async fn a_key_that_is_refused_for_ever_does_not_end_it() {
    let violated = violated_in_process("burnt-key", |pool| scarred(pool, Scar::BurntKey)).await;
    assert_eq!(violated, ["retry-ends-it"]);
}

/// The process ends where it loses its connection, as one with an unhandled error event does.
#[tokio::test]
async fn a_target_that_dies_of_a_fault_is_at_fault_itself() {
    let Some(python) = python() else {
        return;
    };
    let shops = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/targets");
    let target = TargetSpec::command(&format!("{python} {shops}/shop_mortal.py"), 1);
    let target = target.expect("a command line");
    let violated = violated(&play(target, "purchase.4.drop-before").await);
    assert!(
        violated.contains(&"target-survives".to_owned()),
        "{violated:?}"
    );
}
