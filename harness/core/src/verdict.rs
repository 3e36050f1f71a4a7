//! What a run concluded.

use std::fmt;

use serde::Serialize;

/// The conclusion of a check, a scenario or a run; parts compose by [`Ord::max`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything that was checked holds.
    Valid,
    /// Something could not be checked, so nothing is claimed.
    Inconclusive,
    /// An invariant of the target is broken.
    Violation,
}

impl Verdict {
    /// The worst of `verdicts`; of none, [`Verdict::Inconclusive`]: a run that verified
    /// nothing is never a pass.
    pub fn compose(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        verdicts.into_iter().max().unwrap_or(Verdict::Inconclusive)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Valid => "valid",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Violation => "VIOLATION",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{self, Inconclusive, Valid, Violation};

    #[test]
    fn the_worst_part_decides() {
        assert_eq!(
            Verdict::compose([Valid, Violation, Inconclusive]),
            Violation
        );
        assert_eq!(Verdict::compose([Valid, Inconclusive]), Inconclusive);
        assert_eq!(Verdict::compose([Valid, Valid]), Valid);
    }

    #[test]
    fn nothing_checked_is_not_a_pass() {
        assert_eq!(Verdict::compose([]), Inconclusive);
    }
}
