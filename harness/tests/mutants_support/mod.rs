//! Worlds around one purchaser, and races that are made rather than hoped for.

use std::path::Path;
use std::time::{Duration, Instant};

use rowlock::fault::Fault;
use rowlock::load::Trial;
use rowlock::load::World;
use rowlock::mutants;
use rowlock::progress::Progress;
use rowlock::setting::Setting;
use rowlock::shop::campaign::{self, Campaign, Plan};
use rowlock::shop::scenario::Load;
use rowlock::shop::{self, BuildPurchaser, Shop, open};
use rowlock::target::TargetSpec;
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_shop::history::{Completion, Operation, Request};
use rowlock_shop::rows;
use sqlx::{AssertSqlSafe, PgPool};

/// How long a condition may take to come true.
const BOUND: Duration = Duration::from_secs(20);

/// A setting that lives as long as its test.
pub(crate) async fn setting(target: TargetSpec) -> Setting<'static> {
    Setting {
        server: rowlock_postgres::shared_local().await,
        target: Box::leak(Box::new(target)),
        target_env: Vec::new(),
        trace: None,
        seed: Seed(5),
        patience: Duration::from_secs(60),
        progress: Box::leak(Box::new(Progress::hidden())),
    }
}

/// A small load.
pub(crate) fn small() -> Load {
    Load {
        buyers: 200,
        stocks: vec![1, 100],
        max_conflicts: None,
    }
}

/// What a target is started with that may wait for a lock or a transaction which nobody ends: it
/// need not wait long.
pub(crate) fn impatient() -> Vec<(String, String)> {
    [
        ("LOCK_TIMEOUT_MS".into(), "300".into()),
        ("IDLE_IN_TRANSACTION_TIMEOUT_MS".into(), "2000".into()),
    ]
    .to_vec()
}

/// A shop in which every answer is to be had, and what a right shop answers, one after another.
/// No customer buys an item twice.
fn plain_day() -> (rows::Shop, Vec<(Request, &'static str)>) {
    let shop = rows::Shop::default()
        .item(11, 10, 2)
        .item(12, 1_000, 5)
        .item(13, 0, 1)
        .wallet(11, 100)
        .wallet(12, 15)
        .wallet(13, 10)
        .wallet(14, 10);
    let answers = vec![
        (Request::new(12, 11), "ok"),
        (Request::new(12, 12), "insufficient_balance"),
        (Request::new(11, 19), "unknown_item"),
        (Request::new(19, 11), "unknown_user"),
        (Request::new(13, 11), "ok"),
        (Request::new(14, 11), "out_of_stock"),
        (Request::new(14, 13), "ok"),
        (Request::new(11, 13), "out_of_stock"),
    ];
    (shop, answers)
}

/// Whether all answers of a plain day and all invariants are right; if not, what is wrong.
pub(crate) async fn day_is_right(build: BuildPurchaser) -> Result<(), String> {
    let mut setting = setting(TargetSpec::in_process(build)).await;
    setting.target_env = impatient();
    let (shop, day) = plain_day();
    let world = open(&setting, shop).await.unwrap();
    let (requests, expected): (Vec<_>, Vec<_>) = day.into_iter().unzip();
    let history = in_turn(&world, requests).await;
    let answers: Vec<_> = history.iter().map(label).collect();
    let trial = world
        .close("a plain day", history, false, vec![])
        .await
        .unwrap();
    if answers != expected {
        return Err(format!("expected {expected:?}, got {answers:?}"));
    }
    match trial.verdict {
        Some(Verdict::Valid) => Ok(()),
        _ => Err(format!("{:#?}", trial.violations().collect::<Vec<_>>())),
    }
}

async fn in_turn(world: &World<'_, Shop>, requests: Vec<Request>) -> Vec<Operation> {
    let mut client = world.connect(0).await.unwrap();
    let mut history = Vec::new();
    for request in requests {
        history.push(client.purchase(request).await);
    }
    history
}

/// `ok`, the refusal's code, or what is unknown.
fn label(operation: &Operation) -> String {
    let word = match &operation.completion {
        Completion::Ok(_) => return "ok".into(),
        Completion::Fail(refusal) => serde_json::to_value(refusal).unwrap(),
        Completion::Info(unknown) => serde_json::to_value(unknown).unwrap(),
    };
    word.as_str()
        .map_or_else(|| operation.describe(), str::to_owned)
}

/// The names of all violated checks.
pub(crate) fn violated(trials: &[Trial]) -> Vec<String> {
    let findings = trials.iter().flat_map(Trial::violations);
    findings.map(|(finding, _)| finding.name.clone()).collect()
}

/// Every step of every story, broken by `fault`.
pub(crate) async fn campaign(build: BuildPurchaser, fault: Fault) -> Campaign {
    let setting = setting(TargetSpec::in_process(build)).await;
    let plan = Plan {
        faults: vec![fault],
        ..Plan::default()
    };
    campaign::run(&setting, &plan).await.unwrap()
}

/// Requests that meet behind a lock of the test's own.
pub(crate) struct Race {
    pub(crate) shop: rows::Shop,
    /// The statement that holds the rows.
    pub(crate) hold: String,
    /// Sent first, one after another; each comes to wait for the rows before the next is sent.
    pub(crate) first: Vec<Request>,
    /// Sent then, and answered before the rows are let go.
    pub(crate) meanwhile: Vec<Request>,
}

/// Holds an item.
pub(crate) fn hold_item(item_id: i64) -> String {
    format!("select from item where id = {item_id} for update")
}

/// Holds wallets.
pub(crate) fn hold_wallets(user_ids: &[i64]) -> String {
    format!("select from wallet where user_id = any(array{user_ids:?}::bigint[]) for update")
}

impl Race {
    /// Runs the race on the mutant called `name`, with as many replicas as it needs: `invariant`
    /// is violated.
    pub(crate) async fn assert_violates(&self, name: &str, invariant: &str) {
        let mutant = mutants::find(name).unwrap();
        let target = match mutant.replicas {
            1 => TargetSpec::in_process(mutant.purchaser()),
            replicas => {
                let rowlock = Path::new(env!("CARGO_BIN_EXE_rowlock"));
                shop::mutant(rowlock, mutant.purchaser(), replicas)
            }
        };
        let setting = setting(target).await;
        let world = open(&setting, self.shop.clone()).await.unwrap();
        let history = self.run(&world).await;
        let answers: Vec<_> = history.iter().map(Operation::describe).collect();
        let trial = world.close("a race", history, false, vec![]).await.unwrap();
        let violated: Vec<_> = violated(&[trial]);
        assert!(
            violated.iter().any(|name| name == invariant),
            "{name}: {violated:?} {answers:#?}"
        );
    }

    async fn run(&self, world: &World<'_, Shop>) -> Vec<Operation> {
        let pool = world.inspector().pool();
        let mut hold = pool.begin().await.unwrap();
        sqlx::query(AssertSqlSafe(self.hold.clone()))
            .execute(&mut *hold)
            .await
            .unwrap();
        let mut waiting = Vec::new();
        for request in self.first.clone() {
            let mut client = world.connect(waiting.len()).await.unwrap();
            waiting.push(tokio::spawn(async move { client.purchase(request).await }));
            wait_for_waiters(pool, waiting.len()).await;
        }
        let mut history = in_turn(world, self.meanwhile.clone()).await;
        hold.rollback().await.unwrap();
        for operation in waiting {
            history.push(operation.await.unwrap());
        }
        history
    }
}

async fn wait_for_waiters(pool: &PgPool, count: usize) {
    let deadline = Instant::now() + BOUND;
    loop {
        let waiters: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock'",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        if waiters >= i64::try_from(count).unwrap() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{waiters} of {count} wait for the lock"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
