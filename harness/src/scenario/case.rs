//! A small workload with known answers: some rows of its own, a few requests, and what must
//! come back. Many cases share one world, since their rows do not meet.

use std::collections::BTreeMap;

use crate::crowd;
use crate::history::{Completion, Operation, Refusal, Request, Unknown};
use crate::invariant::Finding;
use crate::shop::Shop;
use crate::world::{EnvironmentError, World};

/// How many of each answer must come, by [`label`].
pub(super) type Expected = BTreeMap<&'static str, usize>;

/// What a case does with its requests and what must come back.
#[derive(Debug)]
pub(super) enum Play {
    /// All at once, each on a connection of its own; this many of each answer.
    Together(Expected),
    /// One after another on one connection; exactly these answers.
    InTurn(Vec<&'static str>),
}

#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) shop: Shop,
    pub(super) requests: Vec<Request>,
    pub(super) play: Play,
}

impl Case {
    /// Plays the case; the operations are in the order of the requests.
    pub(super) async fn play(&self, world: &World<'_>) -> Result<Vec<Operation>, EnvironmentError> {
        match self.play {
            Play::Together(_) => {
                let clients = world.connect_all(self.requests.len()).await?;
                Ok(crowd::release(clients, self.requests.clone(), world.clock()).await)
            }
            Play::InTurn(_) => {
                let mut operations = Vec::new();
                for client in &mut world.connect_all(1).await? {
                    for request in &self.requests {
                        operations.push(client.purchase(request.clone()).await);
                    }
                }
                Ok(operations)
            }
        }
    }
}

/// All rows of `cases`.
pub(super) fn rows(cases: &[Case]) -> Shop {
    let mut shop = Shop::default();
    for case in cases {
        shop.extend(case.shop.clone());
    }
    shop
}

/// Plays `cases` one after another: the whole history, and whether every answer was as expected.
pub(super) async fn play_all(
    world: &World<'_>,
    cases: &[Case],
) -> Result<(Vec<Operation>, Vec<Finding>), EnvironmentError> {
    let mut histories = Vec::new();
    for case in cases {
        histories.push(case.play(world).await?);
    }
    let played = || cases.iter().zip(&histories);
    let together: Vec<_> = played()
        .filter_map(|(case, history)| match &case.play {
            Play::Together(expected) => Some((case.name.clone(), expected, history.as_slice())),
            Play::InTurn(_) => None,
        })
        .collect();
    let in_turn: Vec<_> = played()
        .filter_map(|(case, history)| match &case.play {
            Play::InTurn(expected) => Some((case.name.clone(), expected, history.as_slice())),
            Play::Together(_) => None,
        })
        .collect();
    let mut findings = Vec::new();
    if !together.is_empty() {
        findings.push(judge_counts(&together));
    }
    if !in_turn.is_empty() {
        findings.push(judge_sequences(&in_turn));
    }
    Ok((histories.into_iter().flatten().collect(), findings))
}

/// Whether each history has exactly the expected number of each answer.
pub(super) fn judge_counts(played: &[(String, &Expected, &[Operation])]) -> Finding {
    let judge = |(name, expected, history): &(String, &Expected, &[Operation])| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for operation in *history {
            *counts.entry(label(operation)).or_default() += 1;
        }
        let wanted = expected.iter().filter(|(_, count)| **count > 0);
        let wanted: BTreeMap<String, usize> = wanted
            .map(|(label, count)| ((*label).to_owned(), *count))
            .collect();
        (counts != wanted).then(|| {
            format!(
                "{name}: expected {}, got {}",
                words(&wanted),
                words(&counts)
            )
        })
    };
    Finding::new(
        "expected-answers",
        "simultaneous requests get exactly the answers that stock and balance allow",
        played.iter().filter_map(judge).collect(),
    )
}

/// Whether each history has exactly the expected answers, in order.
fn judge_sequences(played: &[(String, &Vec<&'static str>, &[Operation])]) -> Finding {
    let judge = |(name, expected, history): &(String, &Vec<&'static str>, &[Operation])| {
        let answers: Vec<_> = history.iter().map(label).collect();
        (answers != **expected).then(|| {
            format!(
                "{name}: expected {}, got {}",
                expected.join(", "),
                answers.join(", ")
            )
        })
    };
    Finding::new(
        "expected-answers-in-turn",
        "requests that follow one another get exactly the answers of a sequential shop",
        played.iter().filter_map(judge).collect(),
    )
}

fn words(counts: &BTreeMap<String, usize>) -> String {
    let words: Vec<_> = counts
        .iter()
        .map(|(label, count)| format!("{count} {label}"))
        .collect();
    words.join(" + ")
}

/// The answer in one word: `ok`, the refusal's code, or why there is none.
pub(super) fn label(operation: &Operation) -> String {
    let word = match &operation.completion {
        Completion::Ok(_) => "ok",
        Completion::Fail(Refusal::OutOfStock) => "out_of_stock",
        Completion::Fail(Refusal::InsufficientBalance) => "insufficient_balance",
        Completion::Fail(Refusal::UnknownItem) => "unknown_item",
        Completion::Fail(Refusal::UnknownUser) => "unknown_user",
        Completion::Fail(Refusal::Conflict) => "conflict",
        Completion::Fail(Refusal::KeyReused) => "key_reused",
        Completion::Fail(Refusal::Busy) => "busy",
        Completion::Fail(Refusal::NotSent) => "not_sent",
        Completion::Fail(Refusal::Other(what)) => what,
        Completion::Info(Unknown::ServerError) => "server_error",
        Completion::Info(Unknown::ConnectionLost) => "connection_lost",
        Completion::Info(Unknown::TimedOut) => "timed_out",
        Completion::Info(Unknown::HungUp) => "hung_up",
    };
    word.to_owned()
}
