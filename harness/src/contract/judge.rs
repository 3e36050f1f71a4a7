//! A run against the serial orders, and against the contract's invariants.

use std::collections::{BTreeMap, BTreeSet};

use rowlock_contract::expression::{Counts, Facts, Number};
use rowlock_contract::invariant::{Invariant, Predicate};
use rowlock_core::answer::{Ending, Unknown};
use rowlock_core::finding::{Finding, Outcome};
use rowlock_core::rows::{Rows, Table};
use rowlock_core::serial::{CallIndex, Concurrent, Explanation, Oracle, UnexplainedRefusal};
use rowlock_core::universal::{self, NO_SERVER_ERROR};
use serde::{Deserialize, Serialize};

use super::keys;
use super::program::Program;
use super::serial::serial_told;
use super::story::{StoryAnswer, Told};
use super::subject::ContractSubject;
use crate::subject::Seen;

/// The name of the check that the serial orders make.
pub(super) const SERIAL_ORDER: &str = "serial-order";

/// What the invariants' queries say, by the invariants' names: rows that are violations, or one
/// number.
pub(super) type Numbers = BTreeMap<String, Vec<String>>;

/// What a run left.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// The tables that are not as they were before.
    pub changed: Rows,
    /// All tables.
    #[serde(skip)]
    pub(super) rows: Rows,
    /// What the invariants' queries say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) numbers: Numbers,
}

impl Left {
    pub(super) fn new(rows: Rows, initial: &Rows, numbers: Numbers) -> Left {
        let is_changed = |(name, table): &(&String, &Table)| {
            initial
                .0
                .get(*name)
                .is_none_or(|before| !has_rows_of(before, table))
        };
        let changed = rows.0.iter().filter(is_changed);
        let changed = changed.map(|(name, table)| (name.clone(), table.clone()));
        Left {
            changed: Rows(changed.collect()),
            rows,
            numbers,
        }
    }
}

pub(super) fn has_rows_of(one: &Table, other: &Table) -> bool {
    let sorted = |table: &Table| {
        let mut rows = table.rows.clone();
        rows.sort();
        rows
    };
    // Most tables are the same, in the same order.
    one.rows == other.rows || one.rows.len() == other.rows.len() && sorted(one) == sorted(other)
}

/// Every check of a run.
pub(super) fn judge(subject: &ContractSubject, seen: &Seen<'_, ContractSubject>) -> Vec<Finding> {
    let mut findings = universal::check(seen.history, &seen.aftermath, seen.broken);
    excuse_serial_errors(&mut findings, seen);
    findings.push(explain(subject, seen));
    let oracle = &seen.expected.oracle;
    findings.extend(keys::are_kept(subject.contract(), seen.program, oracle));
    findings.extend(invariants(
        subject,
        &seen.expected.before,
        &seen.rows.numbers,
        seen.history,
    ));
    findings
}

/// A server error that a call meets in a serial order, too, is no doing of the calls' meeting: the
/// check does not apply, and says so.
fn excuse_serial_errors(findings: &mut [Finding], seen: &Seen<'_, ContractSubject>) {
    let Ok(oracle) = &seen.expected.oracle else {
        return;
    };
    let is_error = |ending: Ending| ending == Ending::Unknown(Unknown::ServerError);
    let is_serial = |call: CallIndex| {
        let runs = oracle.orders().iter().filter_map(|order| oracle.run(order));
        let mut told = runs.flat_map(|run| run.order.0.iter().zip(&run.told));
        told.any(|(other, told)| *other == call && is_error(told.ending))
    };
    let errors = seen.history.iter().enumerate().flat_map(|(actor, answer)| {
        let calls = answer.calls.iter().enumerate();
        let calls = calls.filter(|(_, told)| is_error(told.completion.ending));
        calls.map(move |(position, told)| (CallIndex { actor, position }, told))
    });
    let errors: Vec<_> = errors.collect();
    let Some((_, first)) = errors.first() else {
        return;
    };
    if !errors.iter().all(|(call, _)| is_serial(*call)) {
        return;
    }
    let no_server_error = findings.iter_mut().find(|it| it.name == NO_SERVER_ERROR);
    if let Some(finding) = no_server_error.filter(|it| matches!(it.outcome, Outcome::Violated(_))) {
        finding.outcome = Outcome::NotApplicable(format!(
            "call `{}` is answered {} also when the calls come one after another",
            first.call,
            first.reply()
        ));
    }
}

/// Every invariant of the contract, between what its queries said `before` and say `after`.
pub(super) fn invariants(
    subject: &ContractSubject,
    before: &Numbers,
    after: &Numbers,
    history: &[StoryAnswer],
) -> Vec<Finding> {
    let invariants = subject.contract().invariants.iter();
    invariants
        .map(|it| hold(it, before, after, history))
        .collect()
}

/// Whether some serial order explains the run.
fn explain(subject: &ContractSubject, seen: &Seen<'_, ContractSubject>) -> Finding {
    let mut finding = Finding::new(
        SERIAL_ORDER,
        "answers and rows are those of the same calls one after another, in some order",
        Vec::new(),
    );
    let answers = seen.history.iter().enumerate().collect();
    let shown = Shown {
        program: seen.program,
        answers,
        undivided: BTreeSet::new(),
        rows: &seen.rows.rows,
    };
    finding.outcome = shown.explain(&seen.expected.oracle, |oracle, run| {
        let explanation = oracle.explain(run);
        if let Explanation::Explained(explained) = &explanation {
            subject.remember_run(explained.needlessly_gave_way);
        }
        explanation
    });
    finding
}

/// What is held against the serial orders.
pub(super) struct Shown<'a> {
    pub(super) program: &'a Program,
    /// What each actor was told.
    pub(super) answers: BTreeMap<usize, &'a StoryAnswer>,
    /// Actors whose stories nobody's calls may divide, beside what the orders say.
    pub(super) undivided: BTreeSet<usize>,
    /// All tables.
    pub(super) rows: &'a Rows,
}

impl Shown<'_> {
    /// Whether a serial order explains it, as `ask` asks the oracle.
    pub(super) fn explain(
        &self,
        oracle: &Result<Oracle, String>,
        ask: impl FnOnce(&Oracle, &Concurrent) -> Explanation,
    ) -> Outcome {
        let oracle = match oracle {
            Ok(oracle) => oracle,
            Err(why) => return Outcome::Unchecked(why.clone()),
        };
        let run = self.concurrent();
        let name = |call: CallIndex| self.program.name_of(call);
        match ask(oracle, &run) {
            Explanation::Explained(_) => Outcome::Holds,
            Explanation::Unexplained(nearest) => {
                Outcome::Violated(vec![nearest.sentence(&run, name)])
            }
            Explanation::UnexplainedRefusal(refusal) => {
                let rule = self.rule_for(&refusal);
                Outcome::Violated(vec![refusal.sentence(name, &rule)])
            }
            Explanation::Missing(orders) => {
                let orders: Vec<_> = orders.iter().map(|order| order.describe(name)).collect();
                Outcome::Unchecked(format!("serially it cannot be made: {}", orders.join("; ")))
            }
        }
    }

    /// The first call of an actor that was refused.
    pub(super) fn refused_call(&self, actor: usize) -> Option<CallIndex> {
        let calls = &self.answers.get(&actor)?.calls;
        let mut calls = calls.iter();
        let position = calls.position(|told| told.completion.ending == Ending::Refused)?;
        Some(CallIndex { actor, position })
    }

    fn told(&self, call: CallIndex) -> Option<&Told> {
        self.answers.get(&call.actor)?.calls.get(call.position)
    }

    /// The line of the contract that would call a refusal a conflict.
    fn rule_for(&self, refusal: &UnexplainedRefusal) -> String {
        let told = refusal
            .refused
            .first()
            .and_then(|(call, _)| self.told(*call));
        let status = told.and_then(|told| told.status);
        let status = status.map_or("…".into(), |status| status.to_string());
        let name = told.map_or("…", |told| told.call.as_str());
        format!("`answers = [{{ status = {status}, means = \"conflict\" }}]` of call `{name}`")
    }

    fn concurrent(&self) -> Concurrent {
        let told = self.answers.iter().flat_map(|(actor, answer)| {
            let calls = answer.calls.iter().enumerate();
            calls.map(|(position, told)| {
                let actor = *actor;
                (CallIndex { actor, position }, serial_told(told))
            })
        });
        Concurrent {
            told: told.collect(),
            undivided: self.undivided.clone(),
            rows: self.rows.clone(),
        }
    }
}

/// Whether an invariant of the contract holds.
fn hold(
    invariant: &Invariant,
    before: &Numbers,
    after: &Numbers,
    history: &[StoryAnswer],
) -> Finding {
    let Invariant {
        name, predicate, ..
    } = invariant;
    let said = after.get(name).cloned().unwrap_or_default();
    match predicate {
        Predicate::NoRows(query) => {
            let statement = format!("no row: {}", one_line(&query.to_string()));
            Finding::new(name, &statement, said)
        }
        Predicate::Number { holds, .. } => {
            let statement = holds.as_str().to_owned();
            let mut finding = Finding::new(name, &statement, Vec::new());
            let number = |numbers: Option<&Vec<String>>| -> Option<Number> {
                numbers?.first()?.parse().ok()
            };
            let before = number(before.get(name));
            let (Some(before), Some(after)) = (before, number(Some(&said))) else {
                let why = "its query brought no number".to_owned();
                finding.outcome = Outcome::Unchecked(why);
                return finding;
            };
            let facts = Facts {
                before,
                after,
                counts: counts(history),
            };
            finding.outcome = match holds.holds(&facts) {
                Ok(true) => Outcome::Holds,
                Ok(false) => Outcome::Violated(vec![format!(
                    "{statement} does not hold: before {before}, after {after}"
                )]),
                Err(error) => Outcome::Unchecked(error.to_string()),
            };
            finding
        }
    }
}

/// How many calls of each name were ok, and how many are unknown.
fn counts(history: &[StoryAnswer]) -> BTreeMap<String, Counts> {
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    for told in history.iter().flat_map(|answer| &answer.calls) {
        let count = counts.entry(told.call.clone()).or_default();
        match told.completion.ending {
            Ending::Ok => count.ok += 1,
            Ending::Unknown(_) => count.unknown += 1,
            Ending::Refused | Ending::GaveWay => {}
        }
    }
    counts
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Program {
    /// What a call is called in a sentence: its actor, or the call too where the story has several.
    pub(super) fn name_of(&self, call: CallIndex) -> String {
        let actor = &self.actors[call.actor];
        let letter = rowlock_explorer::RequestIndex(call.actor);
        match actor.story.as_slice() {
            [_] => letter.to_string(),
            story => format!("{letter}'s {}", story[call.position].call),
        }
    }
}
