//! The columns of the matrix: which detectors there are.

use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::mutants::Detector;
use crate::shop::scenario::ScenarioName;

/// A detector, which is tried on every variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// The scenario of this name.
    Scenario(ScenarioName),
    /// Faults at the steps of a request, which is also the scenario `mid-transaction-failure`.
    Faults,
    /// The explorer.
    Explorer,
    /// Faults, held against the serial orders of the shop's contract alone.
    SerialFaults,
    /// The explorer, held against the same.
    SerialExplorer,
}

/// Every column, in order.
pub const COLUMNS: [Column; 8] = [
    Column::Scenario(ScenarioName::ConcurrentBuyers),
    Column::Scenario(ScenarioName::DoubleClick),
    Column::Scenario(ScenarioName::BalanceEdge),
    Column::Scenario(ScenarioName::FailureUnderLoad),
    Column::Faults,
    Column::Explorer,
    Column::SerialFaults,
    Column::SerialExplorer,
];

impl Column {
    /// Its name in every report.
    pub fn name(self) -> &'static str {
        match self {
            Column::Scenario(name) => name.as_str(),
            Column::Faults => "faults",
            Column::Explorer => "explorer",
            Column::SerialFaults => "serial-faults",
            Column::SerialExplorer => "serial-explorer",
        }
    }

    /// What it counts its runs in.
    pub fn unit(self) -> &'static str {
        match self {
            Column::Scenario(_) => "trial",
            Column::Faults | Column::SerialFaults => "case",
            Column::Explorer | Column::SerialExplorer => "schedule",
        }
    }

    /// Whether it needs a server that breaks no deadlock by itself.
    pub(super) fn explores(self) -> bool {
        matches!(self, Column::Explorer | Column::SerialExplorer)
    }

    /// The column in which `detector` is.
    pub fn of(detector: Detector) -> Column {
        match detector {
            Detector::Scenario(ScenarioName::MidTransactionFailure) | Detector::Fault(_) => {
                Column::Faults
            }
            Detector::Scenario(name) => Column::Scenario(name),
            Detector::Explorer(_) | Detector::ExplorerOfThree(_) => Column::Explorer,
        }
    }
}

impl FromStr for Column {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut columns = COLUMNS.into_iter();
        let column = columns.find(|column| column.name() == name);
        column.ok_or_else(|| format!("there is no column {name:?}"))
    }
}

impl Serialize for Column {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
