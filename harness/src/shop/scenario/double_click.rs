//! One user, many clicks: what an impatient finger, a retrying proxy and a dropped connection do.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::RngExt;
use rowlock_core::finding::Finding;
use rowlock_shop::history::{Operation, Refusal, Request};
use rowlock_shop::rows::Shop;

use super::case::{Case, Play, play_all, rows};
use super::expected::{Answer, Expected};
use super::{Trials, World, not_applicable, once_per_customer};
use crate::client::Client;
use crate::environment::EnvironmentError;
use crate::load::Trial;
use crate::setting::Setting;
use crate::shop::open;
use crate::target::OnConflict;

const PRICE: i64 = 250;

/// How many clicks arrive at once.
const CLICKS: [usize; 6] = [2, 3, 5, 10, 20, 50];

/// How often a connection is dropped before the retry.
const DROPS: i64 = 20;

/// A dropped connection ends within this time after its request was sent: longer than a
/// purchase takes, so that the drop falls anywhere in it.
const LATEST_DROP: Duration = Duration::from_millis(3);

/// How long a retry may give way to the request that was dropped.
const SETTLE_BOUND: Duration = Duration::from_secs(5);

/// How often it is sent again meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Ids below are the cases'; the users and items of the dropped connections follow.
const FIRST_DROP_ID: i64 = 100_000;

pub(super) async fn run(setting: &Setting<'_>) -> Trials {
    Ok(vec![
        without_keys(setting).await?,
        with_keys(setting).await?,
    ])
}

async fn without_keys(setting: &Setting<'_>) -> Result<Trial, EnvironmentError> {
    setting.progress.say("double-click (without keys)");
    let mut cases = Vec::new();
    for clicks in CLICKS {
        let many = i64::try_from(clicks).expect("a few clicks");
        let limits = [
            ("one unit left", 1, many * PRICE, 1, Answer::OutOfStock),
            (
                "a balance for two",
                many,
                2 * PRICE,
                2,
                Answer::InsufficientBalance,
            ),
            (
                "enough of both",
                many,
                many * PRICE,
                clicks,
                Answer::OutOfStock,
            ),
        ];
        for (limit, stock, balance, bought, otherwise) in limits {
            let id = next_id(&cases);
            cases.push(Case {
                name: format!("{clicks} clicks, {limit}"),
                shop: Shop::default().item(id, PRICE, stock).wallet(id, balance),
                requests: vec![Request::new(id, id); clicks],
                play: Play::Together(Expected::from([
                    (Answer::Ok, bought),
                    (otherwise, clicks - bought),
                ])),
            });
        }
    }
    let world = open(setting, rows(&cases)).await?;
    if world.known().once_per_customer {
        world.abandon().await?;
        return Ok(once_per_customer("without keys"));
    }
    let (history, findings) = play_all(&world, &cases).await?;
    world.close("without keys", history, false, findings).await
}

async fn with_keys(setting: &Setting<'_>) -> Result<Trial, EnvironmentError> {
    setting.progress.say("double-click (with keys)");
    let cases = keyed_cases();
    let mut shop = rows(&cases);
    for id in FIRST_DROP_ID..FIRST_DROP_ID + DROPS {
        shop.extend(Shop::default().item(id, PRICE, 5).wallet(id, 5 * PRICE));
    }
    let world = open(setting, shop).await?;
    if !world.known().idempotency_keys {
        world.abandon().await?;
        return Ok(not_applicable(
            "with keys",
            "the target knows no idempotency keys",
        ));
    }
    let (mut history, mut findings) = play_all(&world, &cases).await?;
    let retried = retry_after_drops(setting, &world).await?;
    findings.push(judge_retries(&retried));
    history.extend(retried);
    world.close("with keys", history, false, findings).await
}

fn keyed_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for clicks in CLICKS {
        let id = next_id(&cases);
        let many = i64::try_from(clicks).expect("a few clicks");
        cases.push(Case {
            name: format!("{clicks} clicks under one key"),
            shop: Shop::default()
                .item(id, PRICE, many)
                .wallet(id, many * PRICE),
            requests: vec![Request::new(id, id).with_key(format!("click-{id}")); clicks],
            play: Play::Together(Expected::from([(Answer::Ok, clicks)])),
        });
    }
    for clicks in CLICKS {
        let id = next_id(&cases);
        let (first, second) = (id, id + 1);
        let click = |user_id: i64| Request::new(user_id, id).with_key(format!("user-{user_id}"));
        cases.push(Case {
            name: format!("two users with {clicks} clicks each, one unit left"),
            shop: Shop::default()
                .item(id, PRICE, 1)
                .wallet(first, PRICE)
                .wallet(second, PRICE),
            requests: (0..clicks)
                .flat_map(|_| [click(first), click(second)])
                .collect(),
            play: Play::Together(Expected::from([
                (Answer::Ok, clicks),
                (Answer::OutOfStock, clicks),
            ])),
        });
    }
    cases
}

/// Ids are two apart, since some cases have two users.
fn next_id(cases: &[Case]) -> i64 {
    1 + 2 * i64::try_from(cases.len()).expect("a few cases")
}

/// Sends, hangs up at a random moment, and sends the same again on another connection.
async fn retry_after_drops(
    setting: &Setting<'_>,
    world: &World<'_>,
) -> Result<Vec<Operation>, EnvironmentError> {
    let mut rng = setting.seed.rng("double-click drops");
    let mut operations = Vec::new();
    for id in FIRST_DROP_ID..FIRST_DROP_ID + DROPS {
        let request = Request::new(id, id).with_key(format!("dropped-{id}"));
        let mut clients = world.connect_all(2).await?;
        let (retry, dropped) = (clients.pop(), clients.pop());
        let (Some(mut retry), Some(dropped)) = (retry, dropped) else {
            break;
        };
        let moment = rng.random_range(Duration::ZERO..LATEST_DROP);
        let hang_up = tokio::time::sleep(moment);
        operations.push(dropped.purchase_and_hang_up(request.clone(), hang_up).await);
        operations.extend(retry_until_decided(&mut retry, request, world.on_conflict()).await);
    }
    Ok(operations)
}

/// Sends `request` once, and where it may have given way to the one that was dropped, again.
async fn retry_until_decided(
    client: &mut Client,
    request: Request,
    on_conflict: OnConflict,
) -> Vec<Operation> {
    let deadline = Instant::now() + SETTLE_BOUND;
    let mut operations = Vec::new();
    loop {
        let retry = client.purchase(request.clone()).await;
        let gave_way = retry.is_refused(&Refusal::Conflict);
        operations.push(retry);
        if on_conflict == OnConflict::TriesAgain || !gave_way || Instant::now() >= deadline {
            return operations;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Whatever became of the request that was dropped, the last retry of each key is acknowledged.
fn judge_retries(operations: &[Operation]) -> Finding {
    let mut last = BTreeMap::new();
    for operation in operations {
        last.insert(&operation.request.key, operation);
    }
    Finding::new(
        "retry-is-acknowledged",
        "a retry under the same key, after a dropped connection, is acknowledged",
        last.into_values()
            .filter(|retry| !retry.is_ok())
            .map(Operation::describe)
            .collect(),
    )
}
