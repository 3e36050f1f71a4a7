//! The money is taken first, and stays taken.

use purchase_service::order::Refusal;
use sqlx::{PgConnection, PgPool};

use super::decider::{Decision, Sale, deciding};
use super::sql::{Item, charge, lock_item, lock_wallet, take_unit, write_purchase};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "refusal-debits",
    bug: "the wallet is charged before the stock is judged, and the transaction commits whatever \
          came of it",
    harm: "whoever is told \"sold out\" has paid",
    seen_in: "a COMMIT in a finally block, or frameworks that roll back on exceptions only and \
          are given a refusal as a value",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[
        Detector::Scenario(ScenarioName::BalanceEdge),
        Detector::Scenario(ScenarioName::ConcurrentBuyers),
    ],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| deciding(pool, decide),
};

async fn decide(pool: PgPool, sale: Sale) -> Decision {
    let mut transaction = pool.begin().await?;
    let decision = judge(&mut transaction, &sale).await;
    transaction.commit().await?;
    decision
}

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item = lock_item(connection, sale.item_id).await?;
    let item = item.ok_or(Refusal::UnknownItem)?;
    item.pay(lock_wallet(connection, sale.user_id).await?)?;
    let balance_left = charge(connection, sale.user_id, item.price).await?;
    let item = Item::in_stock(Some(item))?;
    take_unit(connection, sale.item_id).await?;
    Ok(write_purchase(connection, sale, None, item.price, balance_left).await?)
}
