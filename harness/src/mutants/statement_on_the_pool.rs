//! One statement that was meant for the transaction runs on the pool.

use sqlx::{PgConnection, PgPool};

use super::decider::{Decision, Sale, deciding, end};
use super::sql::{Item, charge, lock_item, read_wallet, take_unit, write_purchase};
use super::{BySerialOrders, Detector, Mutant};
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "statement-on-the-pool",
    bug: "the deduction runs on the pool instead of the transaction, and commits at once on a \
          connection of its own",
    harm: "a purchase that rolls back keeps the buyer's money, and a full pool stands still, \
          each transaction waiting for a second connection",
    seen_in: "one `pool` where `tx` was meant; Go's and node-postgres's documentation of \
          transactions both warn of it",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[
        Detector::Fault("error"),
        Detector::Explorer("one-wallet-two-items"),
    ],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| deciding(pool, decide),
};

async fn decide(pool: PgPool, sale: Sale) -> Decision {
    let mut transaction = pool.begin().await?;
    let decision = judge(&pool, &mut transaction, &sale).await;
    end(transaction, decision).await
}

async fn judge(pool: &PgPool, transaction: &mut PgConnection, sale: &Sale) -> Decision {
    let item = Item::in_stock(lock_item(transaction, sale.item_id).await?)?;
    item.pay(read_wallet(transaction, sale.user_id).await?)?;
    let mut connection = pool.acquire().await?;
    let balance_left = charge(&mut connection, sale.user_id, item.price).await?;
    drop(connection);
    take_unit(transaction, sale.item_id).await?;
    Ok(write_purchase(transaction, sale, None, item.price, balance_left).await?)
}
