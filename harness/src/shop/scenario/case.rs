//! A small workload with known answers: some rows of its own, a few requests, and what must
//! come back. Many cases share one world, since their rows do not meet.

use rowlock_core::finding::Finding;
use rowlock_shop::history::{Operation, Request};
use rowlock_shop::rows::Shop;

use super::World;
use super::expected::{Answer, Expected, judge_counts, judge_sequences};
use crate::environment::EnvironmentError;

/// What a case does with its requests and what must come back.
#[derive(Debug)]
pub(super) enum Play {
    /// All at once, each on a connection of its own; this many of each answer.
    Together(Expected),
    /// One after another on one connection; exactly these answers.
    InTurn(Vec<Answer>),
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
            Play::Together(_) => world.rush(self.requests.clone()).await,
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
            Play::InTurn(expected) => {
                Some((case.name.clone(), expected.as_slice(), history.as_slice()))
            }
            Play::Together(_) => None,
        })
        .collect();
    let mut findings = Vec::new();
    if !together.is_empty() {
        findings.push(judge_counts(&together, world.on_conflict()));
    }
    if !in_turn.is_empty() {
        findings.push(judge_sequences(&in_turn, world.on_conflict()));
    }
    Ok((histories.into_iter().flatten().collect(), findings))
}
