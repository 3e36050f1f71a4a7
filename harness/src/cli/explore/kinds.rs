//! The kinds of violations that one search meets.

use std::collections::BTreeMap;

use rowlock_core::program::Program;

use crate::explorer::{Run, Witness};

/// Kinds that are kept; a service with more has other worries than a baseline.
const MOST: usize = 8;

/// One run of each kind: by the checks that are violated, and the shapes of the statements that ran.
#[derive(Debug)]
pub(super) struct Kinds<P: Program>(BTreeMap<Vec<String>, Run<P>>);

impl<P: Program> Default for Kinds<P> {
    fn default() -> Self {
        Kinds(BTreeMap::new())
    }
}

impl<P: Program> Kinds<P> {
    /// Keeps `run` if it is a violation of a kind that is new.
    pub(super) fn take(&mut self, run: &Run<P>) {
        if self.0.len() == MOST || !run.execution.control.is_kept() {
            return;
        }
        let mut kind: Vec<_> = run.violated().map(|finding| finding.name.clone()).collect();
        if kind.is_empty() {
            return;
        }
        kind.extend(Witness::<P>::shapes_of(&run.execution.transcript));
        self.0.entry(kind).or_insert_with(|| run.clone());
    }

    /// Those that were kept.
    pub(super) fn runs(&self) -> Vec<&Run<P>> {
        self.0.values().collect()
    }
}
