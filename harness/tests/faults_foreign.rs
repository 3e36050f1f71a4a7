//! Faults on services in another language, which are right in ways of their own.

use std::time::Duration;

use rowlock::fault::{Fault, SQL_STATES, SqlState, crashes, gentle_faults, matrix};
use rowlock::progress::Progress;
use rowlock::setting::Setting;
use rowlock::shop::Story;
use rowlock::shop::campaign::{self, Campaign, Case, Plan};
use rowlock::target::TargetSpec;
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::{Provider, Server, Settings};
use rowlock_testing::tool::python_with;

/// Runs `plan` on one of the shops in Python, which needs these modules; a variable's setting
/// may stand before its name.
async fn run(shop: &str, modules: &[&str], plan: &Plan) -> Option<Campaign> {
    run_on(rowlock_postgres::shared_local().await, shop, modules, plan).await
}

async fn run_on(server: &Server, shop: &str, modules: &[&str], plan: &Plan) -> Option<Campaign> {
    let python = python_with(modules)?;
    let shops = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/targets");
    let (settings, shop) = shop.rsplit_once(' ').unwrap_or(("", shop));
    let command = format!("env {settings} {python} {shops}/{shop}");
    let target = TargetSpec::command(&command, 1).unwrap();
    let progress = Progress::hidden();
    let setting = Setting {
        server,
        target: &target,
        target_env: Vec::new(),
        trace: None,
        seed: Seed(3),
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

/// Which worker serves, and whether it has a connection open, is chance; the steps are counted
/// all the same.
#[tokio::test]
async fn every_step_of_forked_workers_is_reached() {
    let plan = Plan {
        faults: gentle_faults(),
        ..Plan::default()
    };
    let shop = "WORKERS=4 shop_forked.py";
    let Some(campaign) = run(shop, &["psycopg"], &plan).await else {
        return;
    };
    assert_valid(&campaign);
    let steps = &campaign.steps["purchase"];
    assert_eq!((steps.len(), steps[0].as_str()), (7, "BEGIN"), "{steps:?}");
}

/// A crash cuts all connections, more than can be counted, and each worker finds that out one
/// request at a time.
#[tokio::test]
async fn every_step_of_forked_workers_is_reached_after_a_crash_too() {
    let settings = Settings {
        provider: Provider::Local,
        ..Settings::from_env()
    };
    let server = Server::start(&settings).await.unwrap();
    let case = |step| {
        let faults = crashes().into_iter();
        faults.map(move |fault| format!("purchase.{step}.{fault}"))
    };
    let cases = [1, 4, 7].into_iter().flat_map(case);
    let plan = Plan {
        only: cases.map(|case| case.parse::<Case>().unwrap()).collect(),
        ..Plan::default()
    };
    let shop = "WORKERS=4 POOL_SIZE=10 shop_unwatched.py";
    let campaign = run_on(&server, shop, &["psycopg"], &plan).await;
    server.stop().await.unwrap();
    let Some(campaign) = campaign else { return };
    assert_valid(&campaign);
    assert_eq!(campaign.played.len(), 12);
}

/// `400 {"error": "out_of_stock"}` is a refusal, whose reason is not told.
#[tokio::test]
async fn a_right_shop_that_refuses_in_words_of_its_own_is_not_accused() {
    let plan = Plan {
        faults: gentle_faults(),
        ..Plan::default()
    };
    let Some(campaign) = run("shop_unstated.py", &["psycopg"], &plan).await else {
        return;
    };
    assert_valid(&campaign);
    let refusals = campaign.played.iter();
    let refusals = refusals.filter(|played| played.case.story == Story::Refusal);
    assert!(refusals.count() > 50);
    let text = matrix::render(&campaign, "");
    let untold = "out-of-stock-was-true: the target's refusals do not tell their reason";
    assert!(text.contains(untold), "{text}");
}

/// While its answer is waited for somebody else buys, and that purchase is nobody's fault.
#[tokio::test]
async fn a_right_shop_that_is_slow_to_say_that_it_failed_is_not_accused() {
    let cases = ["purchase.4.drop-before", "purchase+rival.4.drop-before"];
    let plan = Plan {
        only: cases.map(|case| case.parse().unwrap()).into(),
        ..Plan::default()
    };
    let Some(campaign) = run("shop_slow_errors.py", &["psycopg"], &plan).await else {
        return;
    };
    assert_valid(&campaign);
}

/// A CHECK that fails says that the stock or the balance does not suffice, and the shop says so.
#[tokio::test]
async fn a_right_shop_that_leaves_the_judging_to_checks_is_not_accused() {
    let plan = Plan {
        faults: vec![Fault::Error(SqlState::CheckViolation)],
        ..Plan::default()
    };
    let Some(campaign) = run("shop_by_check.py", &["psycopg"], &plan).await else {
        return;
    };
    assert_valid(&campaign);
    let refused = campaign.played.iter().filter(|played| {
        let story = played.case.story == Story::Purchase;
        story && played.operations[0].status == Some(400)
    });
    assert!(refused.count() >= 4, "{:?}", campaign.steps);
}
