//! A right transaction in the handler's own future, begun with sqlx's `begin()`.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use purchase_service::order::{IdempotencyKey, Order};
use purchase_service::purchaser::{Outcome, PurchaseError, Purchaser};

use super::decider::judging;
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
        let purchaser = judging(pool, |connection, sale| judge(connection, sale).boxed());
        Arc::new(InPlace(purchaser))
    },
};

struct InPlace(Arc<dyn Purchaser>);

impl Purchaser for InPlace {
    fn purchase(
        self: Arc<Self>,
        order: Order,
        key: Option<IdempotencyKey>,
    ) -> BoxFuture<'static, Result<Outcome, PurchaseError>> {
        Arc::clone(&self.0).purchase(order, key)
    }

    fn run(
        &self,
        purchase: BoxFuture<'static, Result<Outcome, PurchaseError>>,
    ) -> BoxFuture<'static, Result<Outcome, PurchaseError>> {
        purchase
    }
}
