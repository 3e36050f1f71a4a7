//! The money in one transaction, the unit in the next.

use purchase_service::order::Money;
use sqlx::PgPool;

use super::decider::{Decision, Sale, Stop, deciding, end};
use super::sql::{Item, charge, hand_over, pay, read_item};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "two-transactions",
    bug: "the wallet is charged in one transaction and the stock decremented in another, with a \
          refund where the second refuses",
    harm: "whatever ends the service between the two keeps the buyer's money and sells nothing",
    seen_in: "a wallet and a stock module that each commit for themselves, such as Spring \
          methods with REQUIRES_NEW",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[
        Detector::Scenario(ScenarioName::FailureUnderLoad),
        Detector::Fault("drop-before"),
        Detector::ExplorerOfThree("last-unit"),
    ],
    by_serial_orders: BySerialOrders::Faults,
    build: |pool| deciding(pool, decide),
};

async fn decide(pool: PgPool, sale: Sale) -> Decision {
    let item = read_item(&mut *pool.acquire().await?, sale.item_id).await?;
    let item = Item::in_stock(item)?;
    let mut debit = pool.begin().await?;
    let debited = pay(&mut debit, &sale, item).await;
    let balance_left = end(debit, debited).await?;
    let mut decrement = pool.begin().await?;
    let decision = hand_over(&mut decrement, &sale, item, balance_left).await;
    let decision = end(decrement, decision).await;
    if let Err(Stop::Refused(_)) = decision {
        let refund = Money(-item.price.0);
        charge(&mut *pool.acquire().await?, sale.user_id, refund).await?;
    }
    decision
}
