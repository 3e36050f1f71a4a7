//! What came of an analysis, and the verdict.

use std::time::Duration;

use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use serde::Serialize;

use super::detection::Detection;
use super::detector::{COLUMNS, Column};
use super::variant::{Kind, Variant};

/// An analysis's outcome.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What all random choices came from.
    pub seed: Seed,
    /// The PostgreSQL that it was made on.
    pub postgres: String,
    /// The detectors that were tried.
    pub columns: Vec<Column>,
    /// The whole analysis's time, without the comparison with plain stress, in ms.
    pub elapsed_ms: u64,
    /// The service itself, and if it passed, every variant.
    pub rows: Vec<Row>,
    /// The worst of the rows.
    pub verdict: Verdict,
}

/// One variant under every detector.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The variant's name.
    pub name: String,
    /// What is expected of it.
    pub kind: Kind,
    /// The detectors that must catch it, the surest first.
    pub expected: Vec<Column>,
    /// What each detector made of it, in the order of the columns.
    pub cells: Vec<Cell>,
    /// How often plain stress would have found it, if that was tried.
    pub stress: Vec<Tries>,
}

/// A detector, and what it made of a variant.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// The detector.
    pub detector: Column,
    /// What it saw.
    #[serde(flatten)]
    pub detection: Detection,
}

/// One crowd's tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tries {
    /// How many buyers came at once.
    pub buyers: usize,
    /// How often they did.
    pub tries: u64,
    /// How often `concurrent-buyers` was violated, or did not end.
    pub caught: u64,
}

/// What became of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// A mutant that a detector caught, as it must be.
    Caught,
    /// A mutant that no detector caught.
    Survived,
    /// A service that is right, and of which no detector finds a violation, as it must be.
    Passed,
    /// A service that is right, and of which a detector finds a violation.
    FalsePositive,
    /// No detector finds a violation, and one could not conclude.
    Undecided,
}

impl Report {
    /// Composes the verdict of `rows`.
    pub fn new(seed: Seed, postgres: String, elapsed: Duration, rows: Vec<Row>) -> Report {
        Report {
            seed,
            postgres,
            columns: COLUMNS.to_vec(),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            verdict: Verdict::compose(rows.iter().map(|row| row.status().verdict())),
            rows,
        }
    }

    /// Whether the service itself passed, without which nothing else is tried.
    pub fn has_baseline(&self) -> bool {
        let baseline = self.rows.iter().find(|row| row.kind == Kind::Baseline);
        baseline.is_some_and(|row| row.status() == Status::Passed)
    }
}

impl Row {
    /// What the detectors made of `variant`.
    pub fn new(variant: &Variant, cells: Vec<(Column, Detection)>) -> Row {
        let cells = cells.into_iter();
        Row {
            name: variant.name().to_owned(),
            kind: variant.kind,
            expected: variant.expected_columns(),
            cells: cells
                .map(|(detector, detection)| Cell {
                    detector,
                    detection,
                })
                .collect(),
            stress: Vec::new(),
        }
    }

    /// Whether `column` catches it.
    pub fn is_caught_by(&self, column: Column) -> bool {
        let mut cells = self.cells.iter();
        cells.any(|cell| cell.detector == column && cell.detection.is_caught())
    }

    /// What became of the variant.
    pub fn status(&self) -> Status {
        let is_caught = self.cells.iter().any(|cell| cell.detection.is_caught());
        let is_unclear = |cell: &Cell| cell.detection.why_inconclusive().is_some();
        let has_run = |column: &Column| self.cells.iter().any(|cell| cell.detector == *column);
        let is_open = self.cells.iter().any(is_unclear) || !self.expected.iter().all(has_run);
        match (self.kind, is_caught) {
            (Kind::Mutant, true) => Status::Caught,
            (Kind::Baseline | Kind::Lawful, true) => Status::FalsePositive,
            (_, false) if is_open || self.cells.is_empty() => Status::Undecided,
            (Kind::Mutant, false) => Status::Survived,
            (Kind::Baseline | Kind::Lawful, false) => Status::Passed,
        }
    }

    /// The detectors that must catch the variant and did not.
    pub fn missed(&self) -> impl Iterator<Item = &Cell> {
        let is_expected = |cell: &&Cell| self.expected.contains(&cell.detector);
        let expected = self.cells.iter().filter(is_expected);
        expected.filter(|cell| !cell.detection.is_caught())
    }

    /// The detection that took the least time.
    pub fn first_detection(&self) -> Option<&Cell> {
        let caught = self.cells.iter().filter(|cell| cell.detection.is_caught());
        caught.min_by_key(|cell| cell.detection.elapsed_ms)
    }
}

impl Status {
    /// What it says about the harness.
    pub fn verdict(self) -> Verdict {
        match self {
            Status::Caught | Status::Passed => Verdict::Valid,
            Status::Undecided => Verdict::Inconclusive,
            Status::Survived | Status::FalsePositive => Verdict::Violation,
        }
    }
}
