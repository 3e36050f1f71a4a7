//! The item is locked, the wallet is not.

use futures::future::FutureExt;
use sqlx::PgConnection;

use super::decider::{Decision, Sale, judging};
use super::sql::{Item, lock_item, read_wallet, set_balance, take_unit, write_purchase};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "unlocked-wallet",
    bug: "the wallet is read without a lock, and the computed balance is written back, since the \
          item's lock seems to be enough",
    harm: "whoever buys two items at once pays for one of them",
    seen_in: "Flexcoin, closed in March 2014 after simultaneous transfers overdrew accounts",
    replicas: 1,
    keys: Keys::AsSeen,
    detectors: &[
        Detector::Explorer("one-wallet-two-items"),
        Detector::Scenario(ScenarioName::BalanceEdge),
    ],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| judging(pool, |connection, sale| judge(connection, sale).boxed()),
};

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item = Item::in_stock(lock_item(connection, sale.item_id).await?)?;
    let balance_left = item.pay(read_wallet(connection, sale.user_id).await?)?;
    set_balance(connection, sale.user_id, balance_left).await?;
    take_unit(connection, sale.item_id).await?;
    Ok(write_purchase(connection, sale, None, item.price, balance_left).await?)
}
