//! Rows are matched with orders by their place.

use super::{Rule, breaking};
use crate::mutants::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(in crate::mutants) const MUTANT: Mutant = Mutant {
    name: "anothers-receipt",
    bug: "the rows of a batch are written in the order of their keys and handed out in the order \
          of arrival",
    harm: "buyers hold each other's receipts",
    seen_in: "the rows of INSERT with RETURNING, or a data loader's results, taken to be in the \
          order of what was asked",
    replicas: 1,
    keys: Keys::Promised,
    detectors: &[Detector::Scenario(ScenarioName::ConcurrentBuyers)],
    by_serial_orders: BySerialOrders::Neither(
        "its contract's programs have too few orders of one item for two to share a transaction",
    ),
    build: |pool| breaking(pool, Rule::OwnReceipt),
};
