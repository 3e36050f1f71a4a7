//! Worlds around one purchaser, for tests of mutants and of lawful services.

use std::time::Duration;

use rowlock::history::{Completion, Operation, Request};
use rowlock::postgres;
use rowlock::progress::Progress;
use rowlock::seed::Seed;
use rowlock::shop::Shop;
use rowlock::target::{BuildPurchaser, TargetSpec};
use rowlock::trial::Trial;
use rowlock::world::{Setting, World};

/// A setting that lives as long as its test.
pub(crate) async fn setting(build: BuildPurchaser) -> Setting<'static> {
    Setting {
        server: postgres::shared_local().await,
        target: Box::leak(Box::new(TargetSpec::InProcess(build))),
        target_env: Vec::new(),
        seed: Seed(5),
        buyers: 200,
        stocks: vec![1, 100],
        patience: Duration::from_secs(60),
        progress: Box::leak(Box::new(Progress::hidden())),
    }
}

pub(crate) async fn open(setting: &Setting<'static>, shop: Shop) -> World<'static> {
    World::open(setting, shop).await.unwrap()
}

pub(crate) async fn close(world: World<'_>, history: Vec<Operation>, faults: bool) -> Trial {
    world.close("test", history, faults, vec![]).await.unwrap()
}

/// Sends the requests one after another on one connection.
pub(crate) async fn in_turn(world: &World<'_>, requests: Vec<Request>) -> Vec<Operation> {
    let mut client = world.connect(0).await.unwrap();
    let mut history = Vec::new();
    for request in requests {
        history.push(client.purchase(request).await);
    }
    history
}

/// `ok`, the refusal's code, or what is unknown.
pub(crate) fn label(operation: &Operation) -> String {
    let word = |value: serde_json::Value| value.as_str().map(str::to_owned);
    match &operation.completion {
        Completion::Ok(_) => Some("ok".into()),
        Completion::Fail(refusal) => word(serde_json::to_value(refusal).unwrap()),
        Completion::Info(unknown) => word(serde_json::to_value(unknown).unwrap()),
    }
    .unwrap_or_else(|| operation.describe())
}
