//! What is shown: a purchase with a name, and what is expected of it.

use std::path::Path;

use serde::Serialize;

use super::detector::Column;
use crate::mutants::lawful::{LAWFUL, Lawful};
use crate::mutants::{self, Detector, MUTANTS, Mutant};
use crate::target::{BuildPurchaser, OURS, TargetSpec};

/// What is expected of an exhibit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The service itself: no detector may accuse it, or none can be trusted.
    Baseline,
    /// Some detector must catch it.
    Mutant,
    /// No detector may accuse it.
    Lawful,
}

/// One service of the gallery.
#[derive(Debug, Clone, Copy)]
pub struct Exhibit {
    /// What is expected of it.
    pub kind: Kind,
    /// How many of it must share a database.
    pub replicas: usize,
    /// What must catch it, the surest first; nothing unless it is a mutant.
    pub expected: &'static [Detector],
    /// Its purchase, and its name.
    pub purchaser: BuildPurchaser,
}

impl Exhibit {
    /// The service itself.
    pub const BASELINE: Exhibit = Exhibit {
        kind: Kind::Baseline,
        replicas: 1,
        expected: &[],
        purchaser: OURS,
    };

    /// Every mutant, then every lawful service.
    pub fn all() -> Vec<Exhibit> {
        let mutants = MUTANTS.iter().map(Exhibit::from);
        mutants.chain(LAWFUL.iter().map(Exhibit::from)).collect()
    }

    /// The mutant or lawful service called `name`.
    pub fn find(name: &str) -> Option<Exhibit> {
        let mutant = mutants::find(name).map(Exhibit::from);
        mutant.or_else(|| mutants::lawful::find(name).map(Exhibit::from))
    }

    /// Whether `column` must catch it.
    pub fn expects(&self, column: Column) -> bool {
        let mut expected = self.expected.iter();
        expected.any(|detector| Column::of(*detector) == column)
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.purchaser.name
    }

    /// It as a target: in this process where one of it will do, else as processes of `rowlock`.
    pub fn target(&self, rowlock: &Path) -> TargetSpec {
        match self.replicas {
            1 => TargetSpec::InProcess(self.purchaser),
            replicas => TargetSpec::mutant(rowlock, self.purchaser, replicas),
        }
    }
}

impl From<&Mutant> for Exhibit {
    fn from(mutant: &Mutant) -> Self {
        Exhibit {
            kind: Kind::Mutant,
            replicas: mutant.replicas,
            expected: mutant.detectors,
            purchaser: mutant.purchaser(),
        }
    }
}

impl From<&Lawful> for Exhibit {
    fn from(lawful: &Lawful) -> Self {
        Exhibit {
            kind: Kind::Lawful,
            replicas: 1,
            expected: &[],
            purchaser: lawful.purchaser(),
        }
    }
}
