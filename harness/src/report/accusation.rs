//! What a command holds against a service, one thing each, in a form that all reports share.

use std::fmt;

use rowlock_core::seed::fnv1a;
use rowlock_core::verdict::Verdict;
use serde::{Deserialize, Serialize};

/// One thing that is wrong, or could not be proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accusation {
    /// The check, by its name.
    pub check: String,
    /// What is wrong, in a sentence.
    pub sentence: String,
    /// A violation, or inconclusive.
    pub verdict: Verdict,
    /// What it has in common with the same thing found again.
    pub fingerprint: Fingerprint,
}

/// A few digits for a finding: the same whenever it is found again, by whatever seed and values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The digits of `check` in `places`: what of the finding does not depend on chance.
    pub fn of<'a>(check: &str, places: impl IntoIterator<Item = &'a str>) -> Fingerprint {
        let mut text = check.to_owned();
        for place in places {
            text.push('\0');
            text.push_str(place);
        }
        Fingerprint(format!("{:016x}", fnv1a(text.as_bytes())))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// As a sentence of a report: what is wrong, and the name of the check.
impl fmt::Display for Accusation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.sentence, self.check)
    }
}
