//! Wallets are locked in the order in which their orders came.

use super::{Rule, breaking};
use crate::mutants::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(in crate::mutants) const MUTANT: Mutant = Mutant {
    name: "wallets-as-they-come",
    bug: "a batch locks the wallets of its buyers in the order of arrival",
    harm: "the batches of two items that share two buyers wait for each other in a circle, and \
          one of them fails",
    seen_in: "batch jobs that update rows in the order in which they find them",
    replicas: 1,
    keys: Keys::Promised,
    detectors: &[Detector::Scenario(ScenarioName::BalanceEdge)],
    by_serial_orders: BySerialOrders::Neither(
        "it takes two batches of two items, and no program of the contract has so many calls",
    ),
    build: |pool| breaking(pool, Rule::WalletsInOneOrder),
};
