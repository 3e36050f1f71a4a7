//! Purchases that share a transaction: every rule that makes that right, broken, shows in a crowd.

use crate::mutants_support::{setting, small, violated};
use rowlock::mutants::{self, Detector, batching};
use rowlock::setting::Setting;
use rowlock::shop::BuildPurchaser;
use rowlock::shop::scenario::{self, ScenarioName};
use rowlock::target::TargetSpec;
use rowlock_postgres::{Provider, Server, Settings};

/// A broken rule of those that let purchases share a transaction: the scenario that shows it, and the
/// check that it violates.
const OF_A_BATCH: &[(&str, ScenarioName, &str)] = &[
    (
        "wallets-as-they-come",
        ScenarioName::BalanceEdge,
        "no-deadlock",
    ),
    (
        "stock-for-the-whole-batch",
        ScenarioName::ConcurrentBuyers,
        "out-of-stock-was-true",
    ),
    (
        "balance-judged-apart",
        ScenarioName::DoubleClick,
        "balance-gone-is-prices",
    ),
    (
        "key-in-one-batch",
        ScenarioName::DoubleClick,
        "balance-gone-is-prices",
    ),
    (
        "anothers-receipt",
        ScenarioName::ConcurrentBuyers,
        "acknowledged-is-purchased",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_rule_of_a_batch_is_caught_in_a_crowd_and_a_batch_that_keeps_all_is_not() {
    let server = rowlock_postgres::shared_local().await;
    for (name, scenario, check) in OF_A_BATCH {
        assert_caught(server, name, *scenario, check).await;
        let violated = run(server, batching::RIGHT, *scenario).await;
        assert!(violated.is_empty(), "{scenario:?}: {violated:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_fails_harms_nobody_but_the_one_that_made_it_fail() {
    // A server of its own, since it is restarted.
    let settings = Settings {
        provider: Provider::Local,
        ..Settings::from_env()
    };
    let server = Server::start(&settings).await.unwrap();
    let scenario = ScenarioName::FailureUnderLoad;
    for (name, check) in [
        ("batch-fails-as-one", "only-the-failed-one-fails"),
        ("refusal-before-commit", "linearizable"),
    ] {
        assert_caught(&server, name, scenario, check).await;
    }
    let violated = run(&server, batching::RIGHT, scenario).await;
    assert!(violated.is_empty(), "{violated:?}");
    server.stop().await.unwrap();
}

async fn assert_caught(server: &Server, name: &str, scenario: ScenarioName, check: &str) {
    let mutant = mutants::find(name).unwrap();
    let detector = Detector::Scenario(scenario);
    assert!(mutant.detectors.contains(&detector), "{name}");
    let violated = run(server, mutant.purchaser(), scenario).await;
    assert!(
        violated.iter().any(|it| it == check),
        "{name}: {violated:?}"
    );
}

/// The checks that it violates.
async fn run(server: &Server, build: BuildPurchaser, scenario: ScenarioName) -> Vec<String> {
    let setting = Setting {
        server,
        ..setting(TargetSpec::in_process(build)).await
    };
    violated(
        &scenario::of(scenario)
            .run(&setting, &small())
            .await
            .unwrap(),
    )
}
