//! Faults on the real thing: they take place, the right service bears them all, and each wrong
//! one is caught where it is wrong.

use std::path::Path;
use std::time::Duration;

use rowlock::fault::{gentle_faults, matrix};
use rowlock::mutants;
use rowlock::progress::Progress;
use rowlock::setting::Setting;
use rowlock::shop::campaign::{self, Campaign, Case, Plan, Played};
use rowlock_core::finding::{BROKEN_ON_PURPOSE, Outcome};
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::{Provider, Server, Settings};
use rowlock_proxy::isolation::Level;
use rowlock_shop::history::Completion;

/// Runs `plan` against our service, or against the mutant of that name, in processes of its own.
async fn run(mutant: Option<&str>, plan: Plan) -> Campaign {
    run_on(rowlock_postgres::shared_local().await, mutant, plan).await
}

async fn run_on(server: &Server, mutant: Option<&str>, plan: Plan) -> Campaign {
    let rowlock = Path::new(env!("CARGO_BIN_EXE_rowlock"));
    let target = match mutant {
        None => rowlock::shop::ours(rowlock, 1),
        Some(name) => {
            rowlock::shop::mutant(rowlock, mutants::find(name).expect(name).purchaser(), 1)
        }
    };
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
    campaign::run(&setting, &plan)
        .await
        .expect("the environment is well")
}

fn only(cases: &[&str]) -> Plan {
    let cases = cases.iter().map(|case| case.parse::<Case>().expect(case));
    Plan {
        only: cases.collect(),
        ..Plan::default()
    }
}

/// The checks that a case violates.
fn violated(played: &Played) -> Vec<&str> {
    let violated = played.findings.iter();
    violated
        .filter(|finding| finding.verdict() == Some(Verdict::Violation))
        .map(|finding| finding.name.as_str())
        .collect()
}

#[tokio::test]
async fn the_right_service_bears_every_fault_at_every_step() {
    let plan = Plan {
        faults: gentle_faults(),
        ..Plan::default()
    };
    let campaign = run(None, plan).await;
    assert_eq!(
        campaign.verdict,
        Verdict::Valid,
        "{}",
        matrix::render(&campaign, "")
    );
    assert_eq!(campaign.steps["purchase"].len(), 6, "{:?}", campaign.steps);
    // BEGIN and lock, read the key, lock, two updates, insert and COMMIT; the others end after the
    // read.
    let errors = [4, 4, 4, 5, 5, 5, 4, 4, 2, 4, 4, 2];
    let errors: usize = errors.iter().sum();
    assert_eq!(campaign.played.len(), ((6 + 3 + 3) * 6 + errors) * 2);
    assert_eq!(campaign.level, Level::ReadCommitted);
    let no_server = &campaign.impossible["error-53300"]["purchase"];
    assert_eq!(*no_server, (1..=6).collect::<Vec<_>>());
    // Nothing was left out: our service has keys, purchase rows, and a pool that can be counted.
    let expected = [
        Outcome::Holds,
        Outcome::NotApplicable(BROKEN_ON_PURPOSE.into()),
    ];
    for played in &campaign.played {
        for finding in &played.findings {
            let is_expected = expected.contains(&finding.outcome);
            assert!(is_expected, "{}: {finding:?}", played.case);
        }
    }
}

/// What our service answers, and whether its purchase exists, says whether the fault took place.
#[tokio::test]
async fn each_fault_does_to_the_commit_what_its_name_says() {
    let expected = [
        ("purchase.6.drop-before", Some(500)),
        ("purchase.6.drop-after", Some(500)),
        ("purchase.6.terminate-idle", Some(500)),
        ("purchase.6.terminate-running", Some(500)),
        ("purchase.6.error-40001", Some(200)),
        ("purchase.6.error-23514", Some(500)),
        ("purchase.6.stall", Some(500)),
        ("purchase.6.client-abort", None),
    ];
    let campaign = run(None, only(&expected.map(|(case, _)| case))).await;
    for (case, status) in expected {
        let played = campaign
            .played
            .iter()
            .find(|played| played.case.to_string() == case);
        let played = played.expect(case);
        assert_eq!(
            played.verdict,
            Verdict::Valid,
            "{case}: {:?}",
            played.findings
        );
        assert_eq!(played.operations[0].status, status, "{case}");
    }
    // The sale after the fault takes an id between those of a commit that was executed and of one
    // that never was; the retry's receipt tells which.
    let purchased_before_the_sale_after = |case: &str| {
        let played = campaign
            .played
            .iter()
            .find(|played| played.case.to_string() == case);
        let ids = played.expect(case).operations.iter().rev();
        let ids = ids.filter_map(|operation| match &operation.completion {
            Completion::Ok(receipt) => receipt.purchase_id,
            _ => None,
        });
        let [retry, sale] = ids.take(2).collect::<Vec<_>>()[..] else {
            panic!("{case}: no retry and sale")
        };
        retry < sale
    };
    assert!(purchased_before_the_sale_after("purchase.6.drop-after"));
    assert!(!purchased_before_the_sale_after("purchase.6.drop-before"));
}

/// A server of its own, which nobody minds being killed.
async fn mortal_server() -> Server {
    let settings = Settings {
        provider: Provider::Local,
        ..Settings::from_env()
    };
    Server::start(&settings).await.expect("a local PostgreSQL")
}

#[tokio::test]
async fn the_right_service_bears_a_server_that_is_killed_around_its_commit() {
    let server = mortal_server().await;
    let cases = [
        "purchase.6.crash-before-immediate",
        "purchase.6.crash-after-kill",
        "purchase+rival.5.crash-before-kill",
        "repeat.2.crash-after-immediate",
    ];
    let campaign = run_on(&server, None, only(&cases)).await;
    assert_eq!(
        campaign.verdict,
        Verdict::Valid,
        "{}",
        matrix::render(&campaign, "")
    );
    assert_eq!(campaign.played.len(), cases.len());
    server.stop().await.expect("the server stops");
}

#[tokio::test]
async fn an_answer_before_the_commit_is_caught_when_the_server_is_killed() {
    let server = mortal_server().await;
    let mutant = "answer-before-commit";
    let step = step_of(mutant, "commit").await;
    let case = format!("purchase.{step}.crash-before-kill");
    let campaign = run_on(&server, Some(mutant), only(&[&case])).await;
    let violated = violated(&campaign.played[0]);
    assert!(
        violated.contains(&"acknowledged-is-purchased"),
        "{:?}",
        campaign.played[0].findings
    );
    server.stop().await.expect("the server stops");
}

/// Two buyers share the item's lock before either wants it alone.
#[tokio::test]
async fn a_deadlock_beside_a_fault_is_reported() {
    let mutant = "share-lock-upgraded";
    let step = step_of(mutant, "for share").await;
    let case = format!("purchase+rival.{step}.client-abort");
    let campaign = run(Some(mutant), only(&[&case])).await;
    let violated = violated(&campaign.played[0]);
    assert!(
        violated.contains(&"no-deadlock"),
        "{:?}",
        campaign.played[0].findings
    );
}

#[tokio::test]
async fn a_cancelled_begin_shows_as_an_open_transaction() {
    let campaign = run(Some("cancelled-begin"), only(&["purchase.1.client-abort"])).await;
    let [played] = campaign.played.as_slice() else {
        panic!("one case")
    };
    assert_eq!(played.sql.to_uppercase(), "BEGIN");
    assert!(
        violated(played).contains(&"no-open-transaction"),
        "{:?}",
        matrix::complaints(played)
    );
}

/// Where a mutant's chosen statement stands among its steps.
async fn step_of(mutant: &str, sql: &str) -> usize {
    let campaign = run(Some(mutant), only(&["purchase.1.error-40001"])).await;
    let steps = &campaign.steps["purchase"];
    let place = steps
        .iter()
        .rposition(|step| step.to_lowercase().contains(sql));
    place.unwrap_or_else(|| panic!("{mutant} has no {sql:?} in {steps:?}")) + 1
}

/// Asserts that `fault` at the last step that contains `sql` makes `mutant` violate one of
/// `checks`.
async fn assert_caught(mutant: &str, sql: &str, fault: &str, checks: &[&str]) {
    let case = format!("purchase.{}.{fault}", step_of(mutant, sql).await);
    let campaign = run(Some(mutant), only(&[&case])).await;
    let violated = violated(&campaign.played[0]);
    let caught = checks.iter().any(|check| violated.contains(check));
    assert!(
        caught,
        "{mutant} at {case}: {:?}",
        campaign.played[0].findings
    );
}

#[tokio::test]
async fn an_answer_before_the_commit_is_caught_when_the_commit_is_dropped() {
    let checks = ["acknowledged-is-purchased"];
    assert_caught("answer-before-commit", "commit", "drop-before", &checks).await;
}

#[tokio::test]
async fn a_commit_that_answers_rollback_is_caught() {
    let checks = ["acknowledged-is-purchased"];
    assert_caught(
        "swallowed-statement-error",
        "insert",
        "error-XX000",
        &checks,
    )
    .await;
}

#[tokio::test]
async fn a_debit_without_its_decrement_is_caught() {
    let checks = ["balance-gone-is-prices", "balance-gone-is-answers"];
    assert_caught("two-transactions", "update item", "drop-before", &checks).await;
}

#[tokio::test]
async fn a_retry_without_a_key_is_caught_as_a_double_charge() {
    let checks = ["purchased-is-answered", "balance-gone-is-answers"];
    assert_caught("retry-of-lost-commit", "commit", "drop-after", &checks).await;
}
