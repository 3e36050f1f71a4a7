//! The money is taken for a while from whoever is refused in the end.

use purchase_service::order::Money;
use sqlx::PgPool;

use super::decider::{Decision, Sale, deciding, end};
use super::sql::{Item, charge, hand_over, pay, read_item};
use super::{BySerialOrders, Detector, Mutant};
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "charge-then-refund",
    bug: "the wallet is charged in a transaction of its own, and where the unit is gone by then, or \
          anything fails, another gives the money back",
    harm: "while the last unit goes to somebody else, the same user's other purchase is refused for \
          want of money that is theirs",
    seen_in: "sagas with a compensating transaction, and payment providers that authorise first and \
          void later",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[Detector::ExplorerOfThree("last-unit")],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| deciding(pool, decide),
};

async fn decide(pool: PgPool, sale: Sale) -> Decision {
    let item = read_item(&mut *pool.acquire().await?, sale.item_id).await?;
    let item = Item::in_stock(item)?;
    let mut debit = pool.begin().await?;
    let debited = pay(&mut debit, &sale, item).await;
    let balance_left = end(debit, debited).await?;
    let delivered = deliver(&pool, &sale, item, balance_left).await;
    if delivered.is_err() {
        let refund = Money(-item.price.0);
        charge(&mut *pool.acquire().await?, sale.user_id, refund).await?;
    }
    delivered
}

async fn deliver(pool: &PgPool, sale: &Sale, item: Item, balance_left: Money) -> Decision {
    let mut transaction = pool.begin().await?;
    let decision = hand_over(&mut transaction, sale, item, balance_left).await;
    end(transaction, decision).await
}
