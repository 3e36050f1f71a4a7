//! A right transaction in the handler's own future, begun with sqlx's `begin()`.

use futures::future::FutureExt;

use super::decider::{in_place, judging};
use super::sql::judge;
use super::{BySerialOrders, Detector, Mutant};
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "cancelled-begin",
    bug: "a client that hangs up cancels begin() halfway, and its connection goes back to the \
          pool inside a transaction",
    harm: "the next buyer's purchase runs in that transaction, and what was acknowledged is lost \
          or its locks are never given back",
    seen_in: "sqlx up to 0.9.0 (launchbadge/sqlx issues 4385 and 4393) under every server that \
          drops a handler's future when the client leaves, as hyper does",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[Detector::Fault("client-abort")],
    by_serial_orders: BySerialOrders::Faults,
    build: |pool| {
        in_place(judging(pool, |connection, sale| {
            judge(connection, sale).boxed()
        }))
    },
};
