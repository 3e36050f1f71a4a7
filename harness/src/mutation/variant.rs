//! What is tried: a purchase with a name, and what is expected of it.

use std::path::Path;

use serde::Serialize;

use super::detector::Column;
use crate::mutants::lawful::{LAWFUL, Lawful};
use crate::mutants::{self, BySerialOrders, Detector, MUTANTS, Mutant};
use crate::shop::{self, BuildPurchaser, OURS};
use crate::target::TargetSpec;

/// What is expected of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The service itself: no detector may find a violation, or none can be trusted.
    Baseline,
    /// Some detector must catch it.
    Mutant,
    /// No detector may find a violation.
    Lawful,
}

/// The service itself, one with a deliberate bug, or one that is right in another way.
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    /// What is expected of it.
    pub kind: Kind,
    /// How many of it must share a database.
    pub replicas: usize,
    /// What must catch it, the surest first; nothing unless it is a mutant.
    pub expected: &'static [Detector],
    /// Which of the columns that know nothing but the shop's contract must catch it.
    pub by_serial_orders: Option<BySerialOrders>,
    /// Its purchase, and its name.
    pub purchaser: BuildPurchaser,
}

impl Variant {
    /// The service itself.
    pub const BASELINE: Variant = Variant {
        kind: Kind::Baseline,
        replicas: 1,
        expected: &[],
        by_serial_orders: None,
        purchaser: OURS,
    };

    /// Every mutant, then every lawful service.
    pub fn all() -> Vec<Variant> {
        let mutants = MUTANTS.iter().map(Variant::from);
        mutants.chain(LAWFUL.iter().map(Variant::from)).collect()
    }

    /// The mutant or lawful service called `name`.
    pub fn find(name: &str) -> Option<Variant> {
        let mutant = mutants::find(name).map(Variant::from);
        mutant.or_else(|| mutants::lawful::find(name).map(Variant::from))
    }

    /// The columns that must catch it, the surest first.
    pub fn expected_columns(&self) -> Vec<Column> {
        let columns = self.expected.iter().map(|detector| Column::of(*detector));
        let serial = match self.by_serial_orders {
            Some(BySerialOrders::Explorer) => Some(Column::SerialExplorer),
            Some(BySerialOrders::Faults) => Some(Column::SerialFaults),
            Some(BySerialOrders::Neither(_)) | None => None,
        };
        let mut expected = Vec::new();
        for column in columns.chain(serial) {
            if !expected.contains(&column) {
                expected.push(column);
            }
        }
        expected
    }

    /// Whether `column` must catch it.
    pub fn expects(&self, column: Column) -> bool {
        self.expected_columns().contains(&column)
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.purchaser.name
    }

    /// It as a target: in this process where one of it will do, else as processes of `rowlock`.
    pub fn target(&self, rowlock: &Path) -> TargetSpec {
        match self.replicas {
            1 => TargetSpec::in_process(self.purchaser),
            replicas => shop::mutant(rowlock, self.purchaser, replicas),
        }
    }
}

impl From<&Mutant> for Variant {
    fn from(mutant: &Mutant) -> Self {
        Variant {
            kind: Kind::Mutant,
            replicas: mutant.replicas,
            expected: mutant.detectors,
            by_serial_orders: Some(mutant.by_serial_orders),
            purchaser: mutant.purchaser(),
        }
    }
}

impl From<&Lawful> for Variant {
    fn from(lawful: &Lawful) -> Self {
        Variant {
            kind: Kind::Lawful,
            replicas: 1,
            expected: &[],
            by_serial_orders: None,
            purchaser: lawful.purchaser(),
        }
    }
}
