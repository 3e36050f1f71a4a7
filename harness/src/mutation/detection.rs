//! What one detector made of one variant.

use std::time::Duration;

use serde::Serialize;

use crate::environment::EnvironmentError;

/// What was seen, and what it cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detection {
    /// What was seen.
    #[serde(flatten)]
    pub seen: Detected,
    /// Trials, cases or schedules that were run; where it was caught, up to the first detection.
    pub runs: u64,
    /// The time from the detector's start to its end or its first detection, in ms.
    pub elapsed_ms: u64,
}

/// Whether a detector finds a violation of a variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "seen")]
pub enum Detected {
    /// It does.
    Caught {
        /// Which trial, case or program it was.
        by: String,
        /// The names of the violated checks.
        violated: Vec<String>,
    },
    /// Everything that was run holds.
    Nothing,
    /// Something could not be checked: neither caught nor valid.
    Inconclusive {
        /// Why.
        why: String,
    },
}

impl Detection {
    /// A detection after `runs` runs and `elapsed`.
    pub fn new(seen: Detected, runs: u64, elapsed: Duration) -> Detection {
        Detection {
            seen,
            runs,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Whether the detector finds a violation.
    pub fn is_caught(&self) -> bool {
        matches!(self.seen, Detected::Caught { .. })
    }

    /// Why nothing is claimed, if nothing is.
    pub fn why_inconclusive(&self) -> Option<&str> {
        match &self.seen {
            Detected::Inconclusive { why } => Some(why),
            _ => None,
        }
    }
}

impl Detected {
    /// Nothing could be concluded because of `error`.
    pub fn failed(error: &EnvironmentError) -> Detected {
        Detected::Inconclusive {
            why: error.in_full(),
        }
    }
}
