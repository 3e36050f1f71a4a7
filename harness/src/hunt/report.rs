//! What a hunt came to.

use std::fmt::Write;
use std::path::PathBuf;

use rowlock_core::finding::Outcome;
use rowlock_core::program::Program as _;
use rowlock_core::verdict::Verdict;
use serde::Serialize;

use super::relation::Relation;
use super::suspicion::Suspicion;
use super::{LockOrder, Planned};
use crate::contract::Program;
use crate::explorer::{Exploration, Run};

/// Suspicions of a pair that are shown to people.
const SHOWN: usize = 4;

/// What a hunt came to.
#[derive(Debug, Serialize)]
pub struct HuntReport {
    /// The worst of all; of nothing, inconclusive.
    pub verdict: Verdict,
    /// The contract's file.
    pub contract: String,
    /// Its pairs and triples, in the order in which they were hunted.
    pub groups: Vec<Group>,
}

/// What became of stories that were hunted together.
#[derive(Debug, Serialize)]
pub struct Group {
    /// Who they are.
    pub program: String,
    /// The rows that they begin from.
    pub rows: String,
    /// What became of them.
    pub ended: Ended,
    /// Why they cannot conflict, if they cannot.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub apart: Vec<String>,
    /// What is suspicious about them, the most suspicious first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suspicions: Vec<Suspicion>,
    /// Lock orders that could deadlock.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lock_orders: Vec<NamedLockOrder>,
    /// Schedules that were run.
    pub schedules: u64,
    /// Branches that were left out as equivalent to others.
    pub left_out: u64,
    /// How long that took, in seconds.
    pub seconds: f64,
    /// What was not proven, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_proven: Vec<String>,
    /// The checks that are violated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violated: Vec<Violated>,
    /// The schedule that violates them, before it was shrunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// The witness, where one was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<PathBuf>,
}

/// What became of stories together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// Their traces have nothing in common that one of them changes; nothing was run.
    CannotConflict,
    /// Every schedule was run, and all are right.
    Valid,
    /// Something could not be checked, or the budget ran out.
    NotProven,
    /// A schedule is wrong.
    Violated,
}

/// A check that is violated.
#[derive(Debug, Serialize)]
pub struct Violated {
    /// Its name.
    pub check: String,
    /// What must hold.
    pub statement: String,
    /// Where it does not.
    pub places: Vec<String>,
}

/// Two locks taken in opposite orders, and whether that deadlocks.
#[derive(Debug, Serialize)]
pub struct NamedLockOrder {
    /// Who locks what first.
    pub says: String,
    /// The schedule that deadlocks, if one was seen.
    pub deadlocks: Option<String>,
    /// Its witness, where one of its own was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<PathBuf>,
}

impl HuntReport {
    /// Of all that was hunted.
    pub fn new(contract: String, groups: Vec<Group>) -> HuntReport {
        HuntReport {
            verdict: Verdict::compose(groups.iter().map(|group| group.ended.verdict())),
            contract,
            groups,
        }
    }

    /// One line for each group, and the verdict.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for group in &self.groups {
            text += &format!("  {:<15} {}\n", group.ended.as_str(), group.program);
        }
        let count = |ended| self.groups.iter().filter(|it| it.ended == ended).count();
        format!(
            "{text}{}: {} violated, {} not proven, {} valid, {} cannot conflict\n",
            self.verdict,
            count(Ended::Violated),
            count(Ended::NotProven),
            count(Ended::Valid),
            count(Ended::CannotConflict),
        )
    }
}

impl Ended {
    /// Its part of the verdict. What cannot conflict is right because each story alone is.
    pub fn verdict(self) -> Verdict {
        match self {
            Ended::CannotConflict | Ended::Valid => Verdict::Valid,
            Ended::NotProven => Verdict::Inconclusive,
            Ended::Violated => Verdict::Violation,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Ended::CannotConflict => "cannot conflict",
            Ended::Valid => "valid",
            Ended::NotProven => "not proven",
            Ended::Violated => "VIOLATED",
        }
    }
}

impl Group {
    fn new(program: &Program) -> Group {
        Group {
            program: program.name.clone(),
            rows: program.describe_initial(),
            ended: Ended::CannotConflict,
            apart: Vec::new(),
            suspicions: Vec::new(),
            lock_orders: Vec::new(),
            schedules: 0,
            left_out: 0,
            seconds: 0.0,
            not_proven: Vec::new(),
            violated: Vec::new(),
            schedule: None,
            witness: None,
        }
    }

    /// Of stories that were not explored yet.
    pub fn of(planned: &Planned) -> Group {
        let mut group = Group::new(&planned.program);
        match &planned.relation {
            Relation::CannotConflict(why) => group.apart.clone_from(why),
            Relation::MayConflict(suspicions) => {
                group.ended = Ended::NotProven;
                group.suspicions.clone_from(&suspicions.told);
                let named = |order: &LockOrder| NamedLockOrder {
                    says: order.says.clone(),
                    deadlocks: None,
                    witness: None,
                };
                group.lock_orders = suspicions.lock_orders.iter().map(named).collect();
            }
        }
        group
    }

    /// Of a story that is wrong alone.
    pub fn wrong_alone(program: &Program, run: &Run<Program>) -> Group {
        let mut group = Group::new(program);
        group.schedules = 1;
        group.take_violation(run);
        group
    }

    /// Takes in what a search came to that left out no schedule as equivalent, of stories that cannot
    /// conflict by their traces. What its budget did not reach is no doubt of those.
    pub fn take_unreduced(&mut self, explored: &Exploration<Program>) {
        self.take(explored);
        let is_clean = explored.violation.is_none()
            && explored.lost.is_empty()
            && explored.unchecked.is_empty()
            && explored.incomplete.is_empty();
        if is_clean && !explored.exhausted {
            self.ended = Ended::CannotConflict;
            self.not_proven =
                vec!["of the schedules without reduction the budget left some".into()];
        }
    }

    /// Takes in what a search came to.
    pub fn take(&mut self, explored: &Exploration<Program>) {
        self.schedules = explored.schedules;
        self.left_out = explored.pruned;
        self.seconds = explored.elapsed.as_secs_f64();
        self.ended = match explored.verdict() {
            Verdict::Valid => Ended::Valid,
            Verdict::Inconclusive => Ended::NotProven,
            Verdict::Violation => Ended::Violated,
        };
        if let Some(run) = &explored.violation {
            self.take_violation(run);
            return;
        }
        if !explored.exhausted {
            let why = "the budget ended before the search did";
            self.not_proven.push(why.into());
        }
        self.not_proven.extend(explored.incomplete.iter().cloned());
        let unchecked = explored.unchecked.iter();
        let unchecked = unchecked.map(|(why, count)| format!("not checked, {count} times: {why}"));
        self.not_proven.extend(unchecked);
        let lost = explored.lost.iter();
        let lost = lost.map(|(why, count)| format!("control lost {count} times: {why}"));
        self.not_proven.extend(lost);
    }

    /// Takes in a run that violates something.
    pub fn take_violation(&mut self, run: &Run<Program>) {
        self.ended = Ended::Violated;
        self.schedule = Some(run.execution.schedule.to_string());
        let violated = run.violated().map(|finding| Violated {
            check: finding.name.clone(),
            statement: finding.statement.clone(),
            places: match &finding.outcome {
                Outcome::Violated(places) => places.clone(),
                _ => Vec::new(),
            },
        });
        self.violated = violated.collect();
    }

    /// It, for people.
    pub fn render(&self) -> String {
        let mut text = format!("{}: {}\n", self.ended.as_str(), self.program);
        // A string takes everything.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        for why in &self.apart {
            writeln!(text, "  {why}")?;
        }
        for suspicion in self.suspicions.iter().take(SHOWN) {
            writeln!(text, "  suspicious: {}", suspicion.says)?;
        }
        if let Some(more @ 1..) = self.suspicions.len().checked_sub(SHOWN) {
            writeln!(text, "  and {more} more in --format json")?;
        }
        if self.schedules > 0 {
            let Group {
                schedules,
                left_out,
                seconds,
                ..
            } = self;
            writeln!(
                text,
                "  {schedules} schedules in {seconds:.2} s, {left_out} branches left out as equivalent"
            )?;
        }
        for order in &self.lock_orders {
            let came_of_it = match (&order.deadlocks, self.ended) {
                (Some(schedule), _) => format!("deadlocks under schedule {schedule}"),
                (None, Ended::Valid) => "no schedule deadlocks".into(),
                (None, _) => "no schedule that was run deadlocked".into(),
            };
            writeln!(text, "  lock order: {}: {came_of_it}", order.says)?;
        }
        for why in &self.not_proven {
            writeln!(text, "  {why}")?;
        }
        for violated in &self.violated {
            writeln!(text, "  {}: {}", violated.check, violated.statement)?;
            for place in &violated.places {
                writeln!(text, "    {place}")?;
            }
        }
        Ok(())
    }
}
