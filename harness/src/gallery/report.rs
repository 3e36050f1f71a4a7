//! What came of a tour, and the verdict.

use std::time::Duration;

use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use serde::Serialize;

use super::detector::Column;
use super::exhibit::{Exhibit, Kind};
use super::sighting::Sighting;

/// A tour's outcome.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What all random choices came from.
    pub seed: Seed,
    /// The PostgreSQL that it was made on.
    pub postgres: String,
    /// The whole tour's time, without the comparison with plain stress, in ms.
    pub elapsed_ms: u64,
    /// The service itself, and if it was acquitted, every exhibit.
    pub rows: Vec<Row>,
    /// The worst of the rows.
    pub verdict: Verdict,
}

/// One exhibit before every detector.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The exhibit's name.
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

/// A detector, and what it made of an exhibit.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// The detector.
    pub detector: Column,
    /// What it saw.
    #[serde(flatten)]
    pub sighting: Sighting,
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

/// What became of an exhibit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// A mutant that a detector caught, as it must be.
    Caught,
    /// A mutant that no detector caught.
    Survived,
    /// A service that is right, and that no detector accuses, as it must be.
    Acquitted,
    /// A service that is right, and that a detector accuses.
    Accused,
    /// Nobody accuses it, and a detector could not conclude.
    Undecided,
}

impl Report {
    /// Composes the verdict of `rows`.
    pub fn new(seed: Seed, postgres: String, elapsed: Duration, rows: Vec<Row>) -> Report {
        Report {
            seed,
            postgres,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            verdict: Verdict::compose(rows.iter().map(|row| row.standing().verdict())),
            rows,
        }
    }

    /// Whether the service itself was acquitted, without which nothing else is shown.
    pub fn has_baseline(&self) -> bool {
        let baseline = self.rows.iter().find(|row| row.kind == Kind::Baseline);
        baseline.is_some_and(|row| row.standing() == Standing::Acquitted)
    }
}

impl Row {
    /// What the detectors made of `exhibit`.
    pub fn new(exhibit: &Exhibit, cells: Vec<(Column, Sighting)>) -> Row {
        let mut expected = Vec::new();
        for column in exhibit
            .expected
            .iter()
            .map(|detector| Column::of(*detector))
        {
            if !expected.contains(&column) {
                expected.push(column);
            }
        }
        let cells = cells.into_iter();
        Row {
            name: exhibit.name().to_owned(),
            kind: exhibit.kind,
            expected,
            cells: cells
                .map(|(detector, sighting)| Cell { detector, sighting })
                .collect(),
            stress: Vec::new(),
        }
    }

    /// What became of the exhibit.
    pub fn standing(&self) -> Standing {
        let is_caught = self.cells.iter().any(|cell| cell.sighting.is_caught());
        let is_open = self
            .cells
            .iter()
            .any(|cell| cell.sighting.why_inconclusive().is_some());
        match (self.kind, is_caught) {
            (Kind::Mutant, true) => Standing::Caught,
            (Kind::Baseline | Kind::Lawful, true) => Standing::Accused,
            (_, false) if is_open || self.cells.is_empty() => Standing::Undecided,
            (Kind::Mutant, false) => Standing::Survived,
            (Kind::Baseline | Kind::Lawful, false) => Standing::Acquitted,
        }
    }

    /// The detectors that must catch the exhibit and did not.
    pub fn missed(&self) -> impl Iterator<Item = &Cell> {
        let is_expected = |cell: &&Cell| self.expected.contains(&cell.detector);
        let expected = self.cells.iter().filter(is_expected);
        expected.filter(|cell| !cell.sighting.is_caught())
    }

    /// The detection that took the least time.
    pub fn first_detection(&self) -> Option<&Cell> {
        let caught = self.cells.iter().filter(|cell| cell.sighting.is_caught());
        caught.min_by_key(|cell| cell.sighting.elapsed_ms)
    }
}

impl Standing {
    /// What it says about the harness.
    pub fn verdict(self) -> Verdict {
        match self {
            Standing::Caught | Standing::Acquitted => Verdict::Valid,
            Standing::Undecided => Verdict::Inconclusive,
            Standing::Survived | Standing::Accused => Verdict::Violation,
        }
    }
}
