//! The database fails while many buy: a trigger raises for one of them, sessions are terminated,
//! the server is restarted.
//!
//! Faults are released by progress, after so many answers, never by time.

mod triggers;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures::FutureExt;
use rowlock_core::finding::Finding;
use rowlock_postgres::StopMode;
use rowlock_shop::history::{Completion, Operation, Refusal, Request};
use rowlock_shop::rows::Shop;
use tokio::sync::watch;

use super::{Trials, World, not_applicable};
use crate::client::Client;
use crate::environment::EnvironmentError;
use crate::load::Trial;
use crate::recovery::{deadline, serves_again, until};
use crate::setting::Setting;
use crate::shop::open;

const PRICE: i64 = 100;

pub(super) async fn run(setting: &Setting<'_>) -> Trials {
    let mut trials = vec![
        triggers::raise(setting).await?,
        terminated_sessions(setting).await?,
    ];
    trials.push(match setting.server.can_restart() {
        true => restarted_server(setting).await?,
        false => not_applicable(
            "server restarted under load",
            "this server is not the harness's own to restart",
        ),
    });
    Ok(trials)
}

/// What the load consists of: so many purchases, by so many clients, of a scarce item and of
/// plentiful ones.
const LOAD: usize = 1_500;
const CLIENTS: usize = 32;
const USERS: i64 = 64;
const ITEMS: i64 = 8;
/// Who buys once the load is over, to see whether the target sells again.
const LATECOMER: i64 = USERS + 1;

fn load_shop() -> Shop {
    let mut shop = Shop::default()
        .item(1, PRICE, 100)
        .wallet(LATECOMER, 1_000_000);
    for item_id in 2..=ITEMS {
        shop = shop.item(item_id, PRICE, 1_000_000);
    }
    (1..=USERS).fold(shop, |shop, user_id| shop.wallet(user_id, 20 * PRICE))
}

fn load_request(index: usize) -> Request {
    let index = i64::try_from(index).expect("a few thousand requests");
    Request::new(1 + index % USERS, 1 + index % ITEMS)
}

async fn terminated_sessions(setting: &Setting<'_>) -> Result<Trial, EnvironmentError> {
    const EVERY: usize = 100;
    let name = "sessions terminated under load";
    setting.progress.say(format!("failure-under-load ({name})"));
    let world = open(setting, load_shop()).await?;
    let load = Load::new();
    let faults = async {
        let mut terminated = 0;
        for answers in (EVERY..LOAD).step_by(EVERY) {
            load.wait_for(answers).await;
            terminated += world.inspector().terminate_sessions().await?;
        }
        Ok::<_, EnvironmentError>(terminated)
    };
    let (history, terminated) = futures::join!(load.run(&world), faults);
    close_recovered(world, name, history, terminated? > 0).await
}

async fn restarted_server(setting: &Setting<'_>) -> Result<Trial, EnvironmentError> {
    let name = "server restarted under load";
    setting.progress.say(format!("failure-under-load ({name})"));
    let world = open(setting, load_shop()).await?;
    let load = Load::new();
    let faults = async {
        for (answers, mode) in [
            (LOAD / 3, StopMode::Fast),
            (2 * LOAD / 3, StopMode::Immediate),
        ] {
            load.wait_for(answers).await;
            setting.server.restart(mode).await?;
        }
        Ok::<_, EnvironmentError>(())
    };
    let (history, restarted) = futures::join!(load.run(&world), faults);
    restarted?;
    close_recovered(world, name, history, true).await
}

/// Buys until the target sells again, and closes the world. `faulted` says whether the faults
/// took place at all: without, the trial has verified nothing.
async fn close_recovered(
    world: World<'_>,
    name: &str,
    mut history: Vec<Operation>,
    faulted: bool,
) -> Result<Trial, EnvironmentError> {
    let request = Request::new(LATECOMER, 2);
    let (mut finding, operations) = sell_again(&world, request, deadline(Instant::now())).await;
    history.extend(operations);
    if !faulted {
        finding.outcome = rowlock_core::finding::Outcome::Unchecked("no fault took place".into());
    }
    world.close(name, history, true, vec![finding]).await
}

/// Sends `request` until it is acknowledged, up to `deadline`: whether it was, and every attempt
/// that reached the target.
async fn sell_again(
    world: &World<'_>,
    request: Request,
    deadline: Instant,
) -> (Finding, Vec<Operation>) {
    let ask = |patience| {
        let purchase = world.purchase(request.clone(), patience);
        purchase.map(|operation| {
            let was_sent = operation.completion != Completion::Fail(Refusal::NotSent);
            was_sent.then_some(operation)
        })
    };
    let operations = until(ask, deadline, Operation::is_ok, || false).await;
    let statement = "within 5 s after the last fault the target sells again";
    let finding = serves_again(statement, operations.last(), Operation::is_ok);
    (finding, operations)
}

/// Clients that buy one after another until the load is spent, and the count of their answers.
struct Load {
    next: AtomicUsize,
    answers: watch::Sender<usize>,
}

impl Load {
    fn new() -> Self {
        Load {
            next: AtomicUsize::new(0),
            answers: watch::Sender::new(0),
        }
    }

    /// Waits until `count` requests have been answered or given up.
    async fn wait_for(&self, count: usize) {
        let mut answers = self.answers.subscribe();
        // The sender lives in self, so the wait cannot fail.
        let _ = answers.wait_for(|answers| *answers >= count).await;
    }

    async fn run(&self, world: &World<'_>) -> Vec<Operation> {
        let clients = (0..CLIENTS).map(|index| self.buy(world, index));
        futures::future::join_all(clients).await.concat()
    }

    /// One client's share; it connects anew where its connection broke.
    async fn buy(&self, world: &World<'_>, index: usize) -> Vec<Operation> {
        let mut operations = Vec::new();
        let mut open: Option<Client> = None;
        loop {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            if next >= LOAD {
                return operations;
            }
            if open.as_ref().is_none_or(|client| !client.is_open()) {
                open = world.connect(index).await.ok();
            }
            if let Some(client) = &mut open {
                operations.push(client.purchase(load_request(next)).await);
            }
            self.answers.send_modify(|answers| *answers += 1);
        }
    }
}
