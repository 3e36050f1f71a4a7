//! What was checked, by name, and how it came out.

use serde::Serialize;

use crate::verdict::Verdict;

/// Why a check of an unbroken run is not made of a broken one.
pub const BROKEN_ON_PURPOSE: &str = "the trial broke something on purpose";

/// How one check of a trial came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was checked, and it holds.
    Holds,
    /// It was checked, and it is broken: one sentence per place.
    Violated(Vec<String>),
    /// It cannot be asked of this target or this trial, and why.
    NotApplicable(String),
    /// It should have been checked and could not be, and why.
    Unchecked(String),
}

/// One named check of a trial and how it came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The invariant's or the expectation's name.
    pub name: String,
    /// What must hold.
    pub statement: String,
    /// How it came out.
    pub outcome: Outcome,
}

impl Finding {
    /// A check that holds where `violations` is empty.
    pub fn new(name: &str, statement: &str, violations: Vec<String>) -> Self {
        let outcome = match violations.is_empty() {
            true => Outcome::Holds,
            false => Outcome::Violated(violations),
        };
        Finding {
            name: name.into(),
            statement: statement.into(),
            outcome,
        }
    }

    /// What this finding adds to the verdict; what does not apply adds nothing.
    pub fn verdict(&self) -> Option<Verdict> {
        match self.outcome {
            Outcome::Holds => Some(Verdict::Valid),
            Outcome::Violated(_) => Some(Verdict::Violation),
            Outcome::NotApplicable(_) => None,
            Outcome::Unchecked(_) => Some(Verdict::Inconclusive),
        }
    }
}
