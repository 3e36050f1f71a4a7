//! What is right in another way than ours is not accused, whatever is done to it.

use crate::mutants_support::{campaign, day_is_right, setting, small};
use futures::stream::{self, StreamExt};
use rowlock::fault::{Fault, SqlState};
use rowlock::mutants::lawful::{LAWFUL, Lawful};
use rowlock::setting::Setting;
use rowlock::shop::scenario;
use rowlock::target::TargetSpec;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::{Provider, Server, Settings};
use rowlock_proxy::isolation::Level;

/// How many services a test puts side by side, since much of what they do is waiting.
const AT_ONCE: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_lawful_service_is_right_on_a_plain_day() {
    for lawful in LAWFUL {
        let right = day_is_right(lawful.purchaser()).await;
        assert_eq!(right, Ok(()), "{}", lawful.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_buyers_accuse_no_lawful_service() {
    assert_none_accused("concurrent-buyers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn double_clicks_accuse_no_lawful_service() {
    assert_none_accused("double-click").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn balances_at_the_edge_accuse_no_lawful_service() {
    assert_none_accused("balance-edge").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_under_load_accuse_no_lawful_service() {
    // A server of its own, since it is restarted.
    let settings = Settings {
        provider: Provider::Local,
        ..Settings::from_env()
    };
    let server = Server::start(&settings).await.unwrap();
    for lawful in LAWFUL {
        let setting = setting(TargetSpec::in_process(lawful.purchaser())).await;
        let setting = Setting {
            server: &server,
            ..setting
        };
        assert_valid(&setting, "failure-under-load").await;
    }
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_step_accuses_no_lawful_service() {
    assert_none_accused("mid-transaction-failure").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serializable_service_is_told_of_conflicts_up_to_its_commit_and_no_further() {
    let lawful = LAWFUL.iter().find(|lawful| lawful.name == "serializable");
    let conflict = Fault::Error(SqlState::SerializationFailure);
    let campaign = campaign(lawful.unwrap().purchaser(), conflict).await;
    assert_eq!(campaign.level, Level::Serializable);
    let steps = &campaign.steps["purchase"];
    let left_out = &campaign.impossible["error-40001"]["purchase"];
    let left_out = left_out.iter().map(|step| steps[step - 1].to_lowercase());
    let left_out: Vec<_> = left_out.collect();
    assert_eq!(
        left_out,
        ["begin isolation level serializable"],
        "{steps:?}"
    );
}

async fn assert_none_accused(scenario: &str) {
    let check = async |lawful: &Lawful| {
        let setting = setting(TargetSpec::in_process(lawful.purchaser())).await;
        assert_valid(&setting, scenario).await;
    };
    let checks = stream::iter(LAWFUL).map(check);
    checks.buffer_unordered(AT_ONCE).collect::<()>().await;
}

async fn assert_valid(setting: &Setting<'_>, scenario: &str) {
    let trials = scenario::find(scenario)
        .unwrap()
        .run(setting, &small())
        .await
        .unwrap();
    for trial in trials {
        let name = setting.target.describe();
        let violations: Vec<_> = trial.violations().collect();
        assert!(
            violations.is_empty(),
            "{name}, {}: {violations:#?}",
            trial.name
        );
        // None of them does without purchase rows or keys, so every trial applies.
        assert_eq!(trial.verdict, Some(Verdict::Valid), "{name}: {trial:#?}");
    }
}
