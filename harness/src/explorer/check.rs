//! Checks beyond the invariants, such as a sequential model, that every outcome goes through.

use std::fmt;
use std::sync::Arc;

use crate::invariant::{Evidence, Finding};

/// A check of one run's evidence; cheap to clone.
#[derive(Clone)]
pub struct Check(Arc<dyn Fn(&Evidence) -> Finding + Send + Sync>);

impl Check {
    /// Makes a check of a function.
    pub fn new(check: impl Fn(&Evidence) -> Finding + Send + Sync + 'static) -> Check {
        Check(Arc::new(check))
    }

    pub(super) fn of(&self, evidence: &Evidence) -> Finding {
        (self.0)(evidence)
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Check")
    }
}
