//! One of two paths locks the wallet first.

use futures::future::FutureExt;
use sqlx::PgConnection;

use super::decider::{Decision, Sale, judging};
use super::sql::{self, lock_wallet};
use super::{BySerialOrders, Detector, Mutant};
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "wallet-before-item",
    bug: "purchases with an Idempotency-Key lock the wallet before the item, all others the item \
          before the wallet",
    harm: "two clicks of one buyer wait for each other until PostgreSQL breaks the deadlock \
          after a second, while everybody else waits for the item",
    seen_in: "a second code path that grew beside the first; what PostgreSQL's manual, on \
          deadlocks, tells to avoid by a consistent order",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[Detector::Explorer("double-click-half-keyed")],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| judging(pool, |connection, sale| judge(connection, sale).boxed()),
};

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    if sale.key.is_some() {
        lock_wallet(connection, sale.user_id).await?;
    }
    sql::judge(connection, sale).await
}
