//! Replay: runs a witness's schedule again, and says what became of it.
//!
//! A step is the same when its SQL is, whatever values it carries, because ids and
//! times differ between machines and databases. A violation counts even where steps differ; its
//! absence counts only where they do not. Where control was lost the schedule did not run, so
//! neither counts.

use std::fmt;

use rowlock_core::program::Program;
use rowlock_core::verdict::Verdict;

use super::execution::Execution;
use super::run::Run;
use super::runner::Runner;
use super::schedule::RequestIndex;
use super::strategy::Follow;
use super::witness::{DeliveredStep, Violated, Witness, steps};

/// How often a schedule is run whose outcome is left to chance.
pub const CHANCES: usize = 500;

/// What became of a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// An invariant of the witness is violated again, under control, by the same steps or others.
    Again {
        /// The names of those that are.
        names: Vec<String>,
        /// The first step that is not the witness's, if one is not.
        difference: Option<Difference>,
    },
    /// None of the witness's invariants is violated, and others are, under control.
    Otherwise(Vec<Violated>),
    /// The same steps ran, and every invariant holds.
    Gone,
    /// The target does something else now, so the schedule says nothing about it.
    Different(Difference),
    /// Control was lost, or a check could not be made, and why.
    Inconclusive(String),
}

/// The first step that is not the witness's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What a client is called.
    pub client: &'static str,
    /// Its place among all steps, from 1.
    pub number: usize,
    /// What the witness has there; nothing behind its end.
    pub expected: Option<(RequestIndex, String)>,
    /// What came; nothing where the run was over.
    pub got: Option<(RequestIndex, String)>,
}

/// Runs the schedule of `witness`, and says what became of it.
///
/// What two statements do that are under way at once is left to chance, so a schedule with such a
/// pair is run up to [`CHANCES`] times until it is violated; where it is not, nothing is claimed.
///
/// # Errors
/// What keeps the run from being made.
pub async fn replay<R: Runner>(
    runner: &mut R,
    witness: &Witness<R::Program>,
) -> Result<(Replayed, Run<R::Program>), R::Error> {
    let steps_to_pair = witness.schedule.steps_to_pair();
    let mut runs = 0;
    loop {
        runs += 1;
        let mut follow = Follow(witness.schedule.clone());
        let run = runner.run(&witness.program, &mut follow).await?;
        let replayed = compare(witness, &run);
        let Some(steps) = steps_to_pair else {
            return Ok((replayed, run));
        };
        let is_another_target = matches!(&replayed,
            Replayed::Different(difference) if difference.number <= steps);
        if is_another_target || replayed.verdict() == Verdict::Violation {
            return Ok((replayed, run));
        }
        if runs == CHANCES {
            let why = format!("not violated in {runs} runs of a schedule that leaves it to chance");
            return Ok((Replayed::Inconclusive(why), run));
        }
    }
}

/// Compares a run of the witness's schedule with the witness.
pub fn compare<P: Program>(witness: &Witness<P>, run: &Run<P>) -> Replayed {
    let violated: Vec<_> = run.violated().filter_map(Violated::of).collect();
    let is_known = |name: &str| witness.violated.iter().any(|known| known.name == name);
    let names = violated.iter().map(|violated| violated.name.clone());
    let lost = run.execution.control.lost();
    if let Some(why) = lost
        && !violated.is_empty()
    {
        let names: Vec<_> = names.collect();
        return Replayed::Inconclusive(format!(
            "control was lost: {why}; violated, but not by the schedule: {}",
            names.join(", ")
        ));
    }
    let names: Vec<_> = names.filter(|name| is_known(name)).collect();
    let difference = first_difference(witness, &run.execution);
    if !names.is_empty() {
        return Replayed::Again { names, difference };
    }
    if !violated.is_empty() {
        return Replayed::Otherwise(violated);
    }
    if let Some(difference) = difference {
        return Replayed::Different(difference);
    }
    if let Some(why) = lost {
        return Replayed::Inconclusive(format!("control was lost: {why}"));
    }
    match run.verdict() {
        Verdict::Valid => Replayed::Gone,
        _ => Replayed::Inconclusive("an invariant could not be checked".into()),
    }
}

fn first_difference<P: Program>(witness: &Witness<P>, execution: &Execution) -> Option<Difference> {
    let mut expected = steps(&witness.transcript);
    let mut got = steps(&execution.transcript);
    for number in 1.. {
        let (expected, got) = (expected.next(), got.next());
        let is_same = match (&expected, &got) {
            (None, None) => return None,
            (Some(one), Some(other)) => {
                one.request == other.request && one.shape() == other.shape()
            }
            _ => false,
        };
        if !is_same {
            let named = |step: DeliveredStep<'_>| (step.request, step.text());
            return Some(Difference {
                client: P::CLIENT,
                number,
                expected: expected.map(named),
                got: got.map(named),
            });
        }
    }
    None
}

impl Replayed {
    /// What it says about the target.
    pub fn verdict(&self) -> Verdict {
        match self {
            Replayed::Again { .. } | Replayed::Otherwise(_) => Verdict::Violation,
            Replayed::Gone => Verdict::Valid,
            Replayed::Different(_) | Replayed::Inconclusive(_) => Verdict::Inconclusive,
        }
    }
}

/// On one line; with `{:#}`, a step that differs is shown below it.
impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Replayed::Again { names, difference } => {
                write!(f, "violated again: {}", names.join(", "))?;
                let Some(difference) = difference else {
                    return Ok(());
                };
                f.write_str(", though by other statements from ")?;
                difference.fmt(f)
            }
            Replayed::Otherwise(violated) => {
                let names: Vec<_> = violated.iter().map(|one| one.name.as_str()).collect();
                write!(
                    f,
                    "not that, but another invariant is violated: {}",
                    names.join(", ")
                )
            }
            Replayed::Gone => f.write_str("not violated: the same statements, and all holds"),
            Replayed::Different(difference) => {
                f.write_str("the target's statements no longer match from ")?;
                difference.fmt(f)
            }
            Replayed::Inconclusive(why) => write!(f, "inconclusive: {why}"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |step: &Option<(RequestIndex, String)>| match step {
            Some((request, sql)) => format!("{} {request}: {sql}", self.client),
            None => "nothing".into(),
        };
        let (number, expected, got) = (self.number, named(&self.expected), named(&self.got));
        match f.alternate() {
            true => write!(
                f,
                "step {number}\n  expected  {expected}\n  got       {got}"
            ),
            false => write!(f, "step {number}: expected {expected}, got {got}"),
        }
    }
}

#[cfg(test)]
mod tests;
