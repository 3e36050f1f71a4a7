//! A batch that fails, fails for all of it.

use super::{Rule, breaking};
use crate::mutants::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(in crate::mutants) const MUTANT: Mutant = Mutant {
    name: "batch-fails-as-one",
    bug: "a batch in which a statement fails is given up, and everybody in it is answered 500",
    harm: "one order that cannot be written down takes up to 63 others with it",
    seen_in: "batch writers without a dead-letter queue: Kafka consumers and bulk inserts that \
          stop at one poisoned record",
    replicas: 1,
    keys: Keys::Promised,
    detectors: &[Detector::Scenario(ScenarioName::FailureUnderLoad)],
    by_serial_orders: BySerialOrders::Neither(
        "its contract's programs have too few orders of one item for two to share a transaction",
    ),
    build: |pool| breaking(pool, Rule::FailedAreTriedAlone),
};
