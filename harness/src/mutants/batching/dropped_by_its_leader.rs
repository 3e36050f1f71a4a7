//! The leader does its duty in its own request.

use super::{Rule, breaking};
use crate::mutants::{BySerialOrders, Detector, Mutant};
use crate::target::Keys;

pub(in crate::mutants) const MUTANT: Mutant = Mutant {
    name: "dropped-by-its-leader",
    bug: "whoever came first does the batches of those behind it in its own request, and is \
          cancelled when its client hangs up",
    harm: "everybody who waited behind a client that left is answered 500",
    seen_in: "request coalescing in the first caller's context, as with Go's singleflight where \
          the function that is shared takes it",
    replicas: 1,
    keys: Keys::Promised,
    detectors: &[Detector::Fault("client-abort")],
    by_serial_orders: BySerialOrders::Neither(
        "a 500 tells its client nothing, and the contract lets it",
    ),
    build: |pool| breaking(pool, Rule::LeaderStays),
};
