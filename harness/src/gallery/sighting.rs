//! What one detector made of one exhibit.

use std::time::Duration;

use serde::Serialize;

use crate::environment::EnvironmentError;

/// What was seen, and what it cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sighting {
    /// What was seen.
    #[serde(flatten)]
    pub seen: Seen,
    /// Trials, cases or schedules that were run; where it was caught, up to the first detection.
    pub runs: u64,
    /// The time from the detector's start to its end or its first detection, in ms.
    pub elapsed_ms: u64,
}

/// Whether a detector accuses an exhibit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "seen")]
pub enum Seen {
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

impl Sighting {
    /// A sighting after `runs` runs and `elapsed`.
    pub fn new(seen: Seen, runs: u64, elapsed: Duration) -> Sighting {
        Sighting {
            seen,
            runs,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Whether the detector accuses.
    pub fn is_caught(&self) -> bool {
        matches!(self.seen, Seen::Caught { .. })
    }

    /// Why nothing is claimed, if nothing is.
    pub fn why_inconclusive(&self) -> Option<&str> {
        match &self.seen {
            Seen::Inconclusive { why } => Some(why),
            _ => None,
        }
    }
}

impl Seen {
    /// Nothing could be concluded because of `error`.
    pub fn failed(error: &EnvironmentError) -> Seen {
        Seen::Inconclusive {
            why: error.in_full(),
        }
    }
}
