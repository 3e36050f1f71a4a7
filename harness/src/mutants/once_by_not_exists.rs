//! Once per customer, by `INSERT … WHERE NOT EXISTS`.

use purchase_service::order::{Money, PurchaseId};
use purchase_service::purchaser::PurchaseError;
use sqlx::{PgConnection, PgPool, query_as};

use super::decider::{Decision, Sale, Stop, deciding};
use super::sql::{Item, read_item, read_wallet, receipt};
use super::{BySerialOrders, Detector, Mutant};
use crate::target::Keys;

pub(super) const MUTANT: Mutant = Mutant {
    name: "once-by-not-exists",
    bug: "a customer may buy an item once, which is left to INSERT … WHERE NOT EXISTS: two of \
          them at the same moment both see nothing",
    harm: "a double click gets two of what is limited to one per customer",
    seen_in: "find-or-create in every ORM, of which Rails' documentation says that it is not \
          atomic; uniqueness validations in Bailis et al., Feral Concurrency Control (SIGMOD 2015)",
    replicas: 1,
    keys: Keys::AsSeen,
    // By overlap: no order of whole statements shows it.
    detectors: &[Detector::Explorer("double-click")],
    by_serial_orders: BySerialOrders::Explorer,
    build: |pool| deciding(pool, decide),
};

async fn decide(pool: PgPool, sale: Sale) -> Decision {
    let mut connection = pool.acquire().await?;
    if let Some((purchase_id, price, balance_left)) = buy_first(&mut connection, &sale).await? {
        return Ok(receipt(&sale, purchase_id, price, balance_left));
    }
    let item = Item::in_stock(read_item(&mut connection, sale.item_id).await?)?;
    item.pay(read_wallet(&mut connection, sale.user_id).await?)?;
    let reason = "the customer has bought this item before";
    Err(Stop::Failed(PurchaseError::Conflict(reason.into())))
}

/// Whoever waits for the rows judges stock and balance anew, but looks for other purchases with
/// the snapshot from before the wait: that makes it wrong although it is one statement.
async fn buy_first(
    connection: &mut PgConnection,
    sale: &Sale,
) -> sqlx::Result<Option<(PurchaseId, Money, Money)>> {
    query_as(
        "with shelf as (
             select price from item where id = $2 and stock > 0 for update
         ), purse as (
             select price from shelf, wallet
              where user_id = $1 and balance >= price for update of wallet
         ), bought as (
             insert into purchase (user_id, item_id, price) select $1, $2, price from purse
              where not exists (select from purchase where user_id = $1 and item_id = $2)
             returning id, price
         ), taken as (
             update item set stock = stock - 1 from bought where item.id = $2
         ), charged as (
             update wallet set balance = balance - bought.price from bought
              where user_id = $1 returning balance
         )
         select bought.id, bought.price, charged.balance from bought, charged",
    )
    .bind(sale.user_id)
    .bind(sale.item_id)
    .fetch_optional(connection)
    .await
}
