//! One run of a program: what ran, and what was found of it.

use rowlock_core::finding::Finding;
use rowlock_core::program::Program;
use rowlock_core::verdict::Verdict;

use super::execution::Execution;

/// One finished run.
#[derive(Debug, Clone)]
pub struct Run<P: Program> {
    /// What ran.
    pub execution: Execution,
    /// What was found of it.
    pub assessment: Assessment<P>,
}

/// What was found of a run.
#[derive(Debug, Clone)]
pub struct Assessment<P: Program> {
    /// The requests with their answers. Times are places in the transcript, not nanoseconds.
    pub history: Vec<P::Operation>,
    /// The rows that were left.
    pub rows: P::Rows,
    /// Every check and how it came out.
    pub findings: Vec<Finding>,
}

impl<P: Program> Run<P> {
    /// The worst of the findings; inconclusive at best where control was lost.
    pub fn verdict(&self) -> Verdict {
        let control = match self.execution.control.is_kept() {
            true => Verdict::Valid,
            false => Verdict::Inconclusive,
        };
        let findings = self.assessment.findings.iter();
        Verdict::compose(findings.filter_map(Finding::verdict)).max(control)
    }

    /// The violated checks, in the order of the report.
    pub fn violated(&self) -> impl Iterator<Item = &Finding> {
        let is_violated = |finding: &&Finding| finding.verdict() == Some(Verdict::Violation);
        self.assessment.findings.iter().filter(is_violated)
    }
}

impl<P: Program> Default for Assessment<P> {
    fn default() -> Self {
        Assessment {
            history: Vec::new(),
            rows: P::Rows::default(),
            findings: Vec::new(),
        }
    }
}
