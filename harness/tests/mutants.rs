//! Every mutant sells rightly while nothing is concurrent and nothing breaks, so that only its
//! bug can give it away; and where its bug can be shown without luck, it shows.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

mod mutants_support;

use mutants_support::{Race, campaign, day_is_right, hold_item, hold_wallets, setting};
use rowlock::fault::{self, Fault, SqlState};
use rowlock::history::Request;
use rowlock::mutants::{self, Detector, MUTANTS};
use rowlock::scenario;
use rowlock::shop::Shop;
use rowlock::target::TargetSpec;
use rowlock::verdict::Verdict;

/// Wrong also when nothing is concurrent and nothing breaks, and the scenario that shows each.
const SEQUENTIAL: &[(&str, &str)] = &[
    ("greater-for-at-least", "balance-edge"),
    ("refusal-debits", "balance-edge"),
    ("refusal-without-rollback", "balance-edge"),
    ("session-advisory-lock", "balance-edge"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_mutant_is_right_on_a_plain_day_unless_its_bug_is_a_sequential_one() {
    for mutant in MUTANTS {
        let right = day_is_right(mutant.purchaser()).await;
        let sequential = SEQUENTIAL.iter().any(|(name, _)| *name == mutant.name);
        match right {
            Ok(()) => assert!(!sequential, "{} is right on a plain day", mutant.name),
            Err(why) => assert!(sequential, "{}: {why}", mutant.name),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequential_bug_is_caught_by_its_scenario() {
    for (name, scenario) in SEQUENTIAL {
        assert_caught(name, scenario).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_locks_up_what_shares_its_connections_badly() {
    for name in ["begin-and-commit-apart", "second-connection"] {
        assert_caught(name, "concurrent-buyers").await;
    }
}

async fn assert_caught(name: &str, scenario: &str) {
    let mutant = mutants::find(name).unwrap();
    assert!(
        mutant
            .detectors
            .contains(&Detector::Scenario(scenario_name(scenario))),
        "{name}"
    );
    let setting = setting(TargetSpec::InProcess(mutant.purchaser())).await;
    let trials = scenario::find(scenario)
        .unwrap()
        .run(&setting)
        .await
        .unwrap();
    let caught = trials
        .iter()
        .any(|trial| trial.verdict == Some(Verdict::Violation));
    assert!(caught, "{name} came through {scenario}: {trials:#?}");
}

fn scenario_name(name: &str) -> &'static str {
    scenario::find(name).unwrap().name
}

#[tokio::test(flavor = "multi_thread")]
async fn two_buyers_who_have_both_judged_the_last_unit_give_a_race_away() {
    let names = [
        "unlocked-absolute-write",
        "unlocked-relative-decrement",
        "check-before-transaction",
        "stale-after-lock",
        "repeatable-read-unretried",
        "version-without-row-count",
        "stock-by-count",
        "cached-stock",
        "process-mutex",
    ];
    for name in names {
        let race = Race {
            shop: last_unit(),
            hold: hold_item(11),
            first: vec![Request::new(11, 11), Request::new(12, 11)],
            meanwhile: vec![],
        };
        race.assert_violated(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_was_given_back_at_once_does_not_keep_the_next_buyer_out() {
    let race = Race {
        shop: last_unit(),
        hold: hold_wallets(&[11]),
        first: vec![Request::new(11, 11)],
        meanwhile: vec![Request::new(12, 11)],
    };
    race.assert_violated("lock-in-autocommit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_items_bought_from_one_unlocked_wallet_are_paid_once() {
    let race = Race {
        shop: Shop::default()
            .item(11, 10, 5)
            .item(12, 10, 5)
            .wallet(11, 100),
        hold: hold_wallets(&[11]),
        first: vec![Request::new(11, 11), Request::new(11, 12)],
        meanwhile: vec![],
    };
    race.assert_violated("unlocked-wallet").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_buyers_who_share_a_lock_on_the_item_are_a_deadlock() {
    for name in ["share-lock-upgraded", "deadlock-victim-acknowledged"] {
        let race = Race {
            shop: plenty(),
            hold: hold_wallets(&[11, 12]),
            first: vec![Request::new(11, 11), Request::new(12, 11)],
            meanwhile: vec![],
        };
        race.assert_violated(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_who_will_not_wait_for_the_item_is_answered_wrongly() {
    for name in ["skip-locked", "retry-in-aborted-transaction"] {
        let race = Race {
            shop: plenty(),
            hold: hold_item(11),
            first: vec![],
            meanwhile: vec![Request::new(11, 11)],
        };
        race.assert_violated(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clicks_of_one_customer_are_two_purchases_where_one_is_allowed() {
    let click = Request::new(11, 11);
    for (name, click) in [
        ("key-checked-apart", click.clone().with_key("click")),
        ("once-by-not-exists", click),
    ] {
        let race = Race {
            shop: plenty(),
            hold: hold_item(11),
            first: vec![click.clone(), click],
            meanwhile: vec![],
        };
        race.assert_violated(name).await;
    }
}

fn last_unit() -> Shop {
    Shop::default()
        .item(11, 10, 1)
        .wallet(11, 100)
        .wallet(12, 100)
}

fn plenty() -> Shop {
    Shop::default()
        .item(11, 10, 5)
        .wallet(11, 100)
        .wallet(12, 100)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bug_that_waits_for_a_fault_is_caught_by_it() {
    let failed = Fault::Error(SqlState("XX000"));
    for (name, fault) in [
        ("cancelled-begin", Fault::ClientAbort),
        ("answer-before-commit", Fault::DropBefore),
        ("swallowed-statement-error", failed),
        ("two-transactions", Fault::DropBefore),
        ("retry-of-lost-commit", Fault::DropAfter),
        ("statement-on-the-pool", failed),
    ] {
        let mutant = mutants::find(name).unwrap();
        assert!(mutant.detectors.contains(&Detector::Fault(fault.column())));
        let campaign = campaign(mutant.purchaser(), fault).await;
        assert_eq!(
            campaign.verdict,
            Verdict::Violation,
            "{name}: {campaign:#?}"
        );
    }
}

#[test]
fn every_mutant_has_a_name_of_its_own_and_detectors_that_exist() {
    let mut names: Vec<_> = MUTANTS.iter().map(|mutant| mutant.name).collect();
    names.extend(mutants::lawful::LAWFUL.iter().map(|lawful| lawful.name));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for mutant in MUTANTS {
        assert!(!mutant.detectors.is_empty(), "{}", mutant.name);
        for detector in mutant.detectors {
            let exists = match detector {
                Detector::Scenario(name) => scenario::find(name).is_some(),
                Detector::Fault(name) => fault::gentle_faults()
                    .iter()
                    .any(|fault| fault.column() == *name),
                Detector::Explorer(program) => !program.is_empty(),
            };
            assert!(exists, "{}: {detector:?}", mutant.name);
        }
    }
}
