//! The stock must suffice for the whole batch.

use super::{Rule, breaking};
use crate::mutants::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(in crate::mutants) const MUTANT: Mutant = Mutant {
    name: "stock-for-the-whole-batch",
    bug: "the stock is judged once for the batch, which takes as many units as it has orders or \
          none",
    harm: "units stay on the shelf while everybody who came in time is told \"sold out\"",
    seen_in: "conditional updates that take n units where the stock is at least n",
    replicas: 1,
    keys: Keys::Promised,
    detectors: &[Detector::Scenario(ScenarioName::ConcurrentBuyers)],
    by_serial_orders: BySerialOrders::Neither(
        "its contract's programs have too few orders of one item for two to share a transaction",
    ),
    build: |pool| breaking(pool, Rule::StockFalls),
};
