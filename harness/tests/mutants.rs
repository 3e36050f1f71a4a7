//! Every mutant sells rightly while nothing is concurrent and nothing breaks, so that only its
//! bug can give it away; and where its bug can be shown without luck, it shows.

use crate::mutants_support::{
    Race, campaign, day_is_right, hold_item, hold_wallets, impatient, setting, small, violated,
};
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use rowlock::fault::{self, Fault, SqlState};
use rowlock::mutants::{self, Detector, MUTANTS, Mutant};
use rowlock::shop::scenario::{self, ScenarioName};
use rowlock::target::TargetSpec;
use rowlock_core::verdict::Verdict;
use rowlock_shop::history::Request;
use rowlock_shop::program;
use rowlock_shop::rows::Shop;

/// How many mutants a test puts side by side, since most of what they do is waiting.
const AT_ONCE: usize = 6;

/// Wrong also when nothing is concurrent and nothing breaks: the scenario that shows each, and
/// the check that it violates.
const SEQUENTIAL: &[(&str, ScenarioName, &str)] = &[
    (
        "greater-for-at-least",
        ScenarioName::BalanceEdge,
        "insufficient-balance-was-true",
    ),
    (
        "refusal-debits",
        ScenarioName::BalanceEdge,
        "balance-gone-is-prices",
    ),
    (
        "refusal-without-rollback",
        ScenarioName::BalanceEdge,
        "expected-answers-in-turn",
    ),
    (
        "session-advisory-lock",
        ScenarioName::BalanceEdge,
        "no-lock-left",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_mutant_is_right_on_a_plain_day_unless_its_bug_is_a_sequential_one() {
    let check = async |mutant: &Mutant| {
        let right = day_is_right(mutant.purchaser()).await;
        let sequential = SEQUENTIAL.iter().any(|(name, ..)| *name == mutant.name);
        match right {
            Ok(()) => assert!(!sequential, "{} is right on a plain day", mutant.name),
            Err(why) => assert!(sequential, "{}: {why}", mutant.name),
        }
    };
    let days = stream::iter(MUTANTS).map(check);
    days.buffer_unordered(AT_ONCE).collect::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequential_bug_is_caught_by_its_scenario() {
    let scenarios = SEQUENTIAL.iter();
    let caught = scenarios.map(|(name, scenario, check)| assert_caught(name, *scenario, check));
    join_all(caught).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_locks_up_a_pool_from_which_each_takes_two() {
    assert_caught(
        "second-connection",
        ScenarioName::ConcurrentBuyers,
        "expected-answers",
    )
    .await;
}

async fn assert_caught(name: &str, scenario: ScenarioName, check: &str) {
    let mutant = mutants::find(name).unwrap();
    assert!(
        mutant.detectors.contains(&Detector::Scenario(scenario)),
        "{name}"
    );
    let mut setting = setting(TargetSpec::in_process(mutant.purchaser())).await;
    setting.target_env = impatient();
    let scenario = scenario::of(scenario);
    let violated = violated(&scenario.run(&setting, &small()).await.unwrap());
    assert!(
        violated.iter().any(|name| name == check),
        "{name}: {violated:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_buyers_who_have_both_judged_the_last_unit_give_a_race_away() {
    let race = Race {
        shop: last_unit(),
        hold: hold_item(11),
        first: vec![Request::new(11, 11), Request::new(12, 11)],
        meanwhile: vec![],
    };
    for name in [
        "unlocked-absolute-write",
        "stale-after-lock",
        "version-without-row-count",
        "stock-by-count",
        "process-mutex",
    ] {
        race.assert_violates(name, "stock-gone-is-purchases").await;
    }
    for name in [
        "unlocked-relative-decrement",
        "check-before-transaction",
        "repeatable-read-unretried",
        "cached-stock",
    ] {
        race.assert_violates(name, "no-server-error").await;
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
    race.assert_violates("lock-in-autocommit", "stock-gone-is-purchases")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_takes_another_connection_leaves_the_transaction_open() {
    let race = Race {
        shop: plenty().item(12, 10, 5),
        hold: hold_item(11),
        first: vec![Request::new(11, 11)],
        meanwhile: vec![Request::new(12, 12)],
    };
    race.assert_violates("begin-and-commit-apart", "no-open-transaction")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_items_bought_from_one_unlocked_wallet_are_paid_once() {
    let race = Race {
        shop: plenty().item(12, 10, 5),
        hold: hold_wallets(&[11]),
        first: vec![Request::new(11, 11), Request::new(11, 12)],
        meanwhile: vec![],
    };
    race.assert_violates("unlocked-wallet", "balance-gone-is-prices")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_buyers_who_share_a_lock_on_the_item_are_a_deadlock() {
    let race = Race {
        shop: plenty(),
        hold: hold_wallets(&[11, 12]),
        first: vec![Request::new(11, 11), Request::new(12, 11)],
        meanwhile: vec![],
    };
    race.assert_violates("share-lock-upgraded", "no-deadlock")
        .await;
    race.assert_violates("deadlock-victim-acknowledged", "acknowledged-is-purchased")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clicks_that_lock_in_opposite_orders_are_a_deadlock() {
    let race = Race {
        shop: plenty(),
        hold: hold_item(11),
        first: vec![
            Request::new(11, 11),
            Request::new(11, 11).with_key("second"),
        ],
        meanwhile: vec![],
    };
    race.assert_violates("wallet-before-item", "no-deadlock")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_who_will_not_wait_for_the_item_is_answered_wrongly() {
    let race = Race {
        shop: plenty(),
        hold: hold_item(11),
        first: vec![],
        meanwhile: vec![Request::new(11, 11)],
    };
    race.assert_violates("skip-locked", "out-of-stock-was-true")
        .await;
    race.assert_violates("retry-in-aborted-transaction", "no-server-error")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clicks_of_one_customer_are_two_purchases_where_one_is_allowed() {
    let twice = |click: Request| Race {
        shop: plenty(),
        hold: hold_item(11),
        first: vec![click.clone(), click],
        meanwhile: vec![],
    };
    let keyed = twice(Request::new(11, 11).with_key("click"));
    keyed
        .assert_violates("key-checked-apart", "one-receipt-per-key")
        .await;
    let plain = twice(Request::new(11, 11));
    plain
        .assert_violates("once-by-not-exists", "once-per-customer")
        .await;
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
    let failed = Fault::Error(SqlState::InternalError);
    let bugs = [
        ("cancelled-begin", Fault::ClientAbort, "no-open-transaction"),
        (
            "answer-before-commit",
            Fault::DropBefore,
            "acknowledged-is-purchased",
        ),
        (
            "swallowed-statement-error",
            failed,
            "acknowledged-is-purchased",
        ),
        (
            "two-transactions",
            Fault::DropBefore,
            "balance-gone-is-prices",
        ),
        (
            "retry-of-lost-commit",
            Fault::DropAfter,
            "purchased-is-answered",
        ),
        ("statement-on-the-pool", failed, "balance-gone-is-prices"),
        (
            "dropped-by-its-leader",
            Fault::ClientAbort,
            "nobody-else-fails",
        ),
    ];
    let assert_caught = async |(name, fault, check): (&str, Fault, &str)| {
        let mutant = mutants::find(name).unwrap();
        assert!(mutant.detectors.contains(&Detector::Fault(fault.column())));
        let campaign = campaign(mutant.purchaser(), fault).await;
        let findings = campaign.played.iter().flat_map(|played| &played.findings);
        let violated: Vec<_> = findings
            .filter(|finding| finding.verdict() == Some(Verdict::Violation))
            .map(|finding| finding.name.as_str())
            .collect();
        assert!(violated.contains(&check), "{name}: {violated:?}");
    };
    let campaigns = stream::iter(bugs).map(assert_caught);
    campaigns.buffer_unordered(AT_ONCE).collect::<()>().await;
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
                Detector::Scenario(name) => scenario::of(*name).name == *name,
                Detector::Fault(name) => fault::gentle_faults()
                    .iter()
                    .any(|fault| fault.column() == *name),
                Detector::Explorer(name) | Detector::ExplorerOfThree(name) => {
                    program::find(name).is_some()
                }
            };
            assert!(exists, "{}: {detector:?}", mutant.name);
        }
    }
}
