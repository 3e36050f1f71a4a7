//! The money is taken before the key is found taken.

use sqlx::PgConnection;

use super::decider::{Decision, Sale, Stop, judging};
use super::sql::{
    Item, charge, find_repeat, insert_once, lock_item, lock_wallet, receipt, take_unit,
};
use super::{BySerialOrders, Detector, Mutant};
use crate::shop::scenario::ScenarioName;
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "charge-before-key",
    bug: "the wallet is charged before the purchase is found to be there under its key, and the \
          receipt of the first is answered and committed",
    harm: "every retry under the key is charged once more, and gets the right receipt",
    seen_in: "an INSERT with ON CONFLICT DO NOTHING as the last statement of a transaction whose \
          other statements do not ask whether it inserted",
    replicas: 1,
    keys: Keys::Promised,
    detectors: &[
        Detector::Explorer("repeated-key"),
        Detector::Scenario(ScenarioName::DoubleClick),
    ],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| judging(pool, |connection, sale| Box::pin(judge(connection, sale))),
};

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item = Item::in_stock(lock_item(connection, sale.item_id).await?)?;
    item.pay(lock_wallet(connection, sale.user_id).await?)?;
    let balance_left = charge(connection, sale.user_id, item.price).await?;
    match insert_once(connection, sale, item.price, balance_left).await? {
        Some(id) => {
            take_unit(connection, sale.item_id).await?;
            Ok(receipt(sale, id, item.price, balance_left))
        }
        None => {
            let first = find_repeat(connection, sale).await?;
            first.ok_or(Stop::unexpected(sqlx::Error::RowNotFound))
        }
    }
}
