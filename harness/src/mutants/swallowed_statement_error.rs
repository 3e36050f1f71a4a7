//! A failed insert is logged and forgotten, and the transaction commits.

use futures::future::FutureExt;
use purchase_service::order::PurchaseId;
use sqlx::PgConnection;

use super::decider::{Decision, Sale, judging};
use super::sql::{
    Item, charge, find_repeat, lock_item, lock_wallet, receipt, take_unit, write_purchase,
};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "swallowed-statement-error",
    bug: "a statement's error is swallowed, and COMMIT is taken for done although PostgreSQL \
          answers it with ROLLBACK",
    harm: "the buyer is told of a purchase of which nothing is left",
    seen_in: "catch-and-log around a statement inside a transaction, which Django's \
          documentation of atomic() warns of; pgjdbc has raiseExceptionOnSilentRollback for it",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[
        Detector::Scenario(ScenarioName::FailureUnderLoad),
        Detector::Fault("error"),
    ],
    by_serial_orders: BySerialOrders::Faults,
    build: |pool| judging(pool, |connection, sale| judge(connection, sale).boxed()),
};

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item = lock_item(connection, sale.item_id).await?;
    if let Some(receipt) = find_repeat(connection, sale).await? {
        return Ok(receipt);
    }
    let item = Item::in_stock(item)?;
    item.pay(lock_wallet(connection, sale.user_id).await?)?;
    let balance_left = charge(connection, sale.user_id, item.price).await?;
    take_unit(connection, sale.item_id).await?;
    let written = write_purchase(
        connection,
        sale,
        sale.key.as_ref(),
        item.price,
        balance_left,
    )
    .await;
    Ok(written.unwrap_or_else(|error| {
        tracing::warn!(%error, "the purchase is missing in the buyer's list");
        receipt(sale, PurchaseId(0), item.price, balance_left)
    }))
}
