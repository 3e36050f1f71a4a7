//! Refusals are answered at once, sales after the COMMIT.

use super::{Rule, breaking};
use crate::mutants::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(in crate::mutants) const MUTANT: Mutant = Mutant {
    name: "refusal-before-commit",
    bug: "a refusal is answered as soon as it is judged, since nothing is written for it",
    harm: "buyers are told \"sold out\" because of somebody in their batch whose purchase then \
          fails, and the unit stays on the shelf",
    seen_in: "queues that acknowledge what they reject before the batch is flushed",
    replicas: 1,
    keys: Keys::Promised,
    detectors: &[Detector::Scenario(ScenarioName::FailureUnderLoad)],
    by_serial_orders: BySerialOrders::Neither(
        "its contract's programs have too few orders of one item for two to share a transaction",
    ),
    build: |pool| breaking(pool, Rule::NobodyBeforeCommit),
};
