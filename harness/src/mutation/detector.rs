//! The columns of the matrix: which detectors there are.

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
}

/// Every column, in order.
pub const COLUMNS: [Column; 6] = [
    Column::Scenario(ScenarioName::ConcurrentBuyers),
    Column::Scenario(ScenarioName::DoubleClick),
    Column::Scenario(ScenarioName::BalanceEdge),
    Column::Scenario(ScenarioName::FailureUnderLoad),
    Column::Faults,
    Column::Explorer,
];

impl Column {
    /// Its name in every report.
    pub fn name(self) -> &'static str {
        match self {
            Column::Scenario(name) => name.as_str(),
            Column::Faults => "faults",
            Column::Explorer => "explorer",
        }
    }

    /// What it counts its runs in.
    pub fn unit(self) -> &'static str {
        match self {
            Column::Scenario(_) => "trial",
            Column::Faults => "case",
            Column::Explorer => "schedule",
        }
    }

    /// The column in which `detector` is.
    pub fn of(detector: Detector) -> Column {
        match detector {
            Detector::Scenario(ScenarioName::MidTransactionFailure) | Detector::Fault(_) => {
                Column::Faults
            }
            Detector::Scenario(name) => Column::Scenario(name),
            Detector::Explorer(_) => Column::Explorer,
        }
    }
}

impl Serialize for Column {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
