//! Faults on services in another language, which are right in ways of their own.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

use std::time::Duration;

use rowlock::fault::campaign::{self, Campaign, Plan};
use rowlock::fault::{Fault, SQL_STATES, gentle_faults, matrix};
use rowlock::progress::Progress;
use rowlock::target::TargetSpec;
use rowlock::world::Setting;
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_testing::tool::python_with;

/// Runs `plan` on one of the shops in Python, which needs these modules.
async fn run(shop: &str, modules: &[&str], plan: &Plan) -> Option<Campaign> {
    let python = python_with(modules)?;
    let shops = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/targets");
    let target = TargetSpec::command(&format!("{python} {shops}/{shop}"), 1).unwrap();
    let progress = Progress::hidden();
    let setting = Setting {
        server: rowlock_postgres::shared_local().await,
        target: &target,
        target_env: Vec::new(),
        seed: Seed(3),
        buyers: 0,
        stocks: Vec::new(),
        patience: Duration::from_secs(30),
        progress: &progress,
    };
    Some(campaign::run(&setting, plan).await.unwrap())
}

#[track_caller]
fn assert_valid(campaign: &Campaign) {
    let text = matrix::render(campaign, "");
    assert_eq!(campaign.verdict, Verdict::Valid, "{text}");
}

const ASYNCPG: [&str; 2] = ["psycopg", "asyncpg"];

/// Its pool tidies the session up after the COMMIT: where a conflict is reported there, which no
/// server does, it says that nothing was bought.
#[tokio::test]
async fn a_right_shop_on_asyncpg_bears_every_error_that_postgresql_can_raise() {
    let plan = Plan {
        faults: gentle_faults(),
        ..Plan::default()
    };
    let Some(campaign) = run("shop_asyncpg.py", &ASYNCPG, &plan).await else {
        return;
    };
    assert_valid(&campaign);
    let tidying = &campaign.steps["purchase"][8];
    assert!(tidying.contains("pg_advisory_unlock_all"), "{tidying}");
    for fault in ["error-40001", "error-40P01", "error-55P03"] {
        let steps = &campaign.impossible[fault]["purchase"];
        assert!(steps.contains(&9), "{fault}: {steps:?}");
    }
    let text = matrix::render(&campaign, "");
    let said = "errors that PostgreSQL cannot raise there under READ COMMITTED";
    assert!(text.contains(said), "{text}");
    assert!(
        text.contains("\n  error-40P01 at purchase.1,8-9, "),
        "{text}"
    );
}

#[tokio::test]
async fn errors_that_no_server_raises_are_injected_on_demand_and_accuse_it() {
    let plan = Plan {
        faults: SQL_STATES.map(Fault::Error).into(),
        impossible: true,
        ..Plan::default()
    };
    let Some(campaign) = run("shop_asyncpg.py", &ASYNCPG, &plan).await else {
        return;
    };
    assert!(campaign.impossible.is_empty(), "{:?}", campaign.impossible);
    let accused = campaign.played.iter();
    let accused = accused.filter(|played| played.verdict == Verdict::Violation);
    let accused: Vec<_> = accused
        .inspect(|played| assert!(played.impossible, "{}", played.case))
        .map(|played| played.case.to_string())
        .collect();
    assert_eq!(
        accused,
        [
            "purchase.9.error-40001",
            "purchase.9.error-40P01",
            "purchase.9.error-55P03",
            "purchase+rival.9.error-40001",
            "purchase+rival.9.error-40P01",
            "purchase+rival.9.error-55P03",
        ]
    );
}
