//! What a contract promises that names a header for idempotency keys: what comes again under its key
//! has happened once.
//!
//! A service that charges a repeat does so one call after another, too, and its serial orders would
//! call it right; so they are held to the promise themselves.

use std::collections::BTreeSet;

use rowlock_contract::Contract;
use rowlock_core::answer::Ending;
use rowlock_core::finding::{Finding, Outcome};
use rowlock_core::serial::{CallIndex, Concurrent, Explanation, Oracle, Order};

use super::program::{Participant, PlannedCall, Program};

/// The name of the check.
pub(super) const REPEATED_KEY: &str = "repeated-key-changes-nothing";

/// The first call of a story that changes something and takes no key.
pub(super) fn call_without<'a>(contract: &'a Contract, story: &[PlannedCall]) -> Option<&'a str> {
    let mut calls = story
        .iter()
        .filter_map(|planned| contract.call(&planned.call));
    let lacks_key = calls.find(|call| {
        let only_reads = ["GET", "HEAD"].contains(&call.method.as_str());
        !only_reads && call.idempotency_key.is_none()
    });
    lacks_key.map(|call| call.name.as_str())
}

/// Whether the same story under the same key changes nothing the second time; nothing where no story
/// of the program is there twice under a key.
pub(super) fn are_kept(
    contract: &Contract,
    program: &Program,
    oracle: &Result<Oracle, String>,
) -> Option<Finding> {
    let repeats = repeats(contract, program);
    if repeats.is_empty() {
        return None;
    }
    let statement =
        "what is sent again under its idempotency key, after an answer, changes nothing";
    let mut finding = Finding::new(REPEATED_KEY, statement, Vec::new());
    let oracle = match oracle {
        Ok(oracle) => oracle,
        Err(why) => {
            finding.outcome = Outcome::Unchecked(why.clone());
            return Some(finding);
        }
    };
    let broken = repeats
        .into_iter()
        .filter_map(|(first, again)| complaint(program, oracle, first, again));
    let broken: Vec<_> = broken.collect();
    if !broken.is_empty() {
        finding.outcome = Outcome::Violated(broken);
    }
    Some(finding)
}

/// Which actors tell the same story under the same key as an earlier one.
fn repeats(contract: &Contract, program: &Program) -> Vec<(usize, usize)> {
    let is_same = |one: &Participant, other: &Participant| {
        one.key.is_some() && one == other && call_without(contract, &one.story).is_none()
    };
    let mut repeats = Vec::new();
    for (again, participant) in program.actors.iter().enumerate() {
        let mut earlier = program.actors[..again].iter();
        if let Some(first) = earlier.position(|it| is_same(it, participant)) {
            repeats.push((first, again));
        }
    }
    repeats
}

/// What the second telling of a story changes, if it does; nothing where the first was not ok.
fn complaint(program: &Program, oracle: &Oracle, first: usize, again: usize) -> Option<String> {
    let story = |actor: usize| {
        let positions = 0..program.actors[actor].story.len();
        positions.map(move |position| CallIndex { actor, position })
    };
    let twice = oracle.run(&Order(story(first).chain(story(again)).collect()))?;
    let told = story(first).zip(twice.told.iter().cloned());
    let once = Concurrent {
        told: told.collect(),
        undivided: BTreeSet::new(),
        rows: twice.rows.clone(),
    };
    if !once.told.values().all(|told| told.ending == Ending::Ok) {
        return None;
    }
    let name = |call: CallIndex| program.name_of(call);
    match oracle.explain(&once) {
        Explanation::Unexplained(nearest) => Some(format!(
            "{} again under the same key, after the first was answered: {}",
            program.actors[again].label(),
            nearest.sentence(&once, name)
        )),
        _ => None,
    }
}
