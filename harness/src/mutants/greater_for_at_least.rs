//! `>` where `>=` was meant.

use futures::future::FutureExt;
use purchase_service::order::Refusal;
use sqlx::PgConnection;

use super::decider::{Decision, Sale, judging};
use super::sql::{Item, lock_item, lock_wallet, take};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "greater-for-at-least",
    bug: "the balance must be greater than the price, where it need only be as great",
    harm: "whoever has exactly the price is refused",
    seen_in: "every language with both operators: CWE-193, the off-by-one error",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[Detector::Scenario(ScenarioName::BalanceEdge)],
    by_serial_orders: BySerialOrders::Neither(
        "it refuses whoever has exactly the price also alone, which is no race: calibration calls \
         the contract wrong",
    ),
    build: |pool| judging(pool, |connection, sale| judge(connection, sale).boxed()),
};

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item = Item::in_stock(lock_item(connection, sale.item_id).await?)?;
    let balance = lock_wallet(connection, sale.user_id).await?;
    let is_enough = balance.ok_or(Refusal::UnknownUser)? > item.price;
    if !is_enough {
        return Err(Refusal::InsufficientBalance.into());
    }
    take(connection, sale, item.price).await
}
