//! Each order is judged by the balance that the batch has found.

use super::{Rule, breaking};
use crate::mutants::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(in crate::mutants) const MUTANT: Mutant = Mutant {
    name: "balance-judged-apart",
    bug: "two orders of one user in a batch are judged by the same balance, and write what is \
          left of it",
    harm: "whoever clicks twice gets two units and pays for one",
    seen_in: "batches that load their rows once and map over them",
    replicas: 1,
    keys: Keys::Promised,
    detectors: &[Detector::Scenario(ScenarioName::DoubleClick)],
    by_serial_orders: BySerialOrders::Neither(
        "its contract's programs have too few orders of one item for two to share a transaction",
    ),
    build: |pool| breaking(pool, Rule::BalancesFall),
};
