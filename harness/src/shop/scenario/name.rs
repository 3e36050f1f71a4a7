//! The names of the scenarios.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Which scenario, by the name that it has on the command line and in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScenarioName {
    /// `concurrent-buyers`.
    ConcurrentBuyers,
    /// `double-click`.
    DoubleClick,
    /// `balance-edge`.
    BalanceEdge,
    /// `mid-transaction-failure`.
    MidTransactionFailure,
    /// `failure-under-load`.
    FailureUnderLoad,
}

/// A name that no scenario has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scenario {0:?}")]
pub struct UnknownScenario(String);

impl ScenarioName {
    /// Every name, in the order in which `verify` runs the scenarios.
    pub const ALL: [ScenarioName; 5] = [
        ScenarioName::ConcurrentBuyers,
        ScenarioName::DoubleClick,
        ScenarioName::BalanceEdge,
        ScenarioName::MidTransactionFailure,
        ScenarioName::FailureUnderLoad,
    ];

    /// The name as people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            ScenarioName::ConcurrentBuyers => "concurrent-buyers",
            ScenarioName::DoubleClick => "double-click",
            ScenarioName::BalanceEdge => "balance-edge",
            ScenarioName::MidTransactionFailure => "mid-transaction-failure",
            ScenarioName::FailureUnderLoad => "failure-under-load",
        }
    }
}

impl fmt::Display for ScenarioName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ScenarioName {
    type Err = UnknownScenario;

    fn from_str(text: &str) -> Result<Self, UnknownScenario> {
        let found = ScenarioName::ALL.iter().find(|name| name.as_str() == text);
        found.copied().ok_or_else(|| UnknownScenario(text.into()))
    }
}

impl Serialize for ScenarioName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop::scenario::SCENARIOS;

    #[test]
    fn a_name_reads_back_as_it_is_written() {
        for name in ScenarioName::ALL {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        let unknown = "concurrent".parse::<ScenarioName>().unwrap_err();
        assert_eq!(unknown.to_string(), "there is no scenario \"concurrent\"");
    }

    #[test]
    fn each_name_has_its_scenario() {
        assert!(SCENARIOS.iter().map(|it| it.name).eq(ScenarioName::ALL));
    }
}
