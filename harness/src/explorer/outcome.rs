//! What came of one run of a program under one schedule.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::footprint::Footprint;
use super::schedule::{Choice, RequestIndex, Schedule};
use super::transcript::Transcript;
use crate::history::Operation;
use crate::invariant::Finding;
use crate::shop::FinalRows;
use crate::verdict::Verdict;

/// Whether the harness decided about every step of the requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// It did.
    Kept,
    /// It did not, and why; the run proves nothing, though a violation in it is one.
    Lost(String),
}

/// One choice that was made, and what a strategy may want to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The choice.
    pub choice: Choice,
    /// The requests whose steps were held at that moment, each with what its step can touch.
    pub enabled: Vec<(RequestIndex, Footprint)>,
    /// All that ran in consequence: the delivered step, and the waiting ones that it set free.
    pub touched: Footprint,
    /// The requests that went on: those delivered, and those set free or woken.
    pub moved: Vec<RequestIndex>,
}

/// One finished run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Every choice that was made.
    pub schedule: Schedule,
    /// What ran.
    pub transcript: Transcript,
    /// The requests with their answers. Times are places in the transcript, not nanoseconds.
    pub history: Vec<Operation>,
    /// The rows that were left.
    pub rows: FinalRows,
    /// Every check and how it came out.
    pub findings: Vec<Finding>,
    /// Whether the run was under control.
    pub control: Control,
    /// Steps that belonged to no request and passed, by their SQL.
    pub uncontrolled: BTreeMap<String, u64>,
    /// The choices once more, as strategies see them.
    pub transitions: Vec<Transition>,
}

impl Outcome {
    /// The worst of the findings; inconclusive at best where control was lost.
    pub fn verdict(&self) -> Verdict {
        let control = match self.control {
            Control::Kept => Verdict::Valid,
            Control::Lost(_) => Verdict::Inconclusive,
        };
        let findings = self.findings.iter().filter_map(Finding::verdict);
        Verdict::compose(findings).max(control)
    }

    /// Whether nothing is under way any more, no transaction open and no lock left, that the next
    /// run on the same place would meet.
    pub fn is_at_rest(&self) -> bool {
        self.control == Control::Kept && !self.leaves_something()
    }

    /// Whether a request was answered and left its transaction open, or a lock.
    pub fn leaves_something(&self) -> bool {
        let left = ["no-open-transaction", "no-lock-left"];
        let mut violated = self.violated();
        violated.any(|finding| left.contains(&finding.name.as_str()))
    }

    /// The names of the violated checks, in the order of the report.
    pub fn violated(&self) -> impl Iterator<Item = &Finding> {
        let is_violated = |finding: &&Finding| finding.verdict() == Some(Verdict::Violation);
        self.findings.iter().filter(is_violated)
    }
}
