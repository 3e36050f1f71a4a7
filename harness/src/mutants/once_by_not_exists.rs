//! Once per customer, by `INSERT … WHERE NOT EXISTS`.

use futures::future::FutureExt;
use purchase_service::order::{Money, PurchaseId, Refusal};
use purchase_service::purchaser::PurchaseError;
use sqlx::{PgConnection, query_scalar};

use super::decider::{Decision, Sale, Stop, judging};
use super::sql::{Item, charge_covered, read_item, read_wallet, receipt, take_unit_in_stock};
use super::{Detector, Mutant};

pub(super) const MUTANT: Mutant = Mutant {
    name: "once-by-not-exists",
    bug: "a customer may buy an item once, which is left to INSERT … WHERE NOT EXISTS: two of them at the same moment both see nothing",
    harm: "a double click gets two of what is limited to one per customer",
    seen_in: "find-or-create in every ORM, of which Rails' documentation says that it is not atomic; uniqueness validations in Bailis et al., Feral Concurrency Control (SIGMOD 2015)",
    replicas: 1,
    detectors: &[Detector::Explorer("double-click")],
    build: |pool| judging(pool, |connection, sale| judge(connection, sale).boxed()),
};

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item = Item::in_stock(read_item(connection, sale.item_id).await?)?;
    item.pay(read_wallet(connection, sale.user_id).await?)?;
    let Some(purchase_id) = insert_first(connection, sale, item.price).await? else {
        let reason = "the customer has bought this item before";
        return Err(Stop::Failed(PurchaseError::Conflict(reason.into())));
    };
    let taken = take_unit_in_stock(connection, sale.item_id).await?;
    let price = taken.ok_or(Refusal::OutOfStock)?;
    let charged = charge_covered(connection, sale.user_id, price).await?;
    let balance_left = charged.ok_or(Refusal::InsufficientBalance)?;
    Ok(receipt(sale, purchase_id, price, balance_left))
}

async fn insert_first(
    connection: &mut PgConnection,
    sale: &Sale,
    price: Money,
) -> sqlx::Result<Option<PurchaseId>> {
    query_scalar(
        "insert into purchase (user_id, item_id, price) select $1, $2, $3
          where not exists (select from purchase where user_id = $1 and item_id = $2)
         returning id",
    )
    .bind(sale.user_id)
    .bind(sale.item_id)
    .bind(price)
    .fetch_optional(connection)
    .await
}
