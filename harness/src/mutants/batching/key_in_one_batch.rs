//! Keys are looked up in the table, and not in the batch.

use super::{Rule, breaking};
use crate::mutants::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(in crate::mutants) const MUTANT: Mutant = Mutant {
    name: "key-in-one-batch",
    bug: "a key that two orders of one batch share is found by neither, and the second row is \
          left out by ON CONFLICT DO NOTHING",
    harm: "a retry that overtakes its first try is charged twice, and gets the right receipt",
    seen_in: "deduplication against the database in front of a bulk insert",
    replicas: 1,
    keys: Keys::Promised,
    detectors: &[Detector::Scenario(ScenarioName::DoubleClick)],
    by_serial_orders: BySerialOrders::Neither(
        "its contract's programs have too few orders of one item for two to share a transaction",
    ),
    build: |pool| breaking(pool, Rule::KeysOfTheBatch),
};
