//! A row is written only if it still holds what was read; whoever is too late is told so.

use futures::future::FutureExt;
use purchase_service::order::{Money, Refusal};
use purchase_service::purchaser::PurchaseError;
use sqlx::{PgConnection, query_as};

use super::super::decider::{Decision, Sale, Stop, judging};
use super::super::sql::{Item, find_repeat, write_purchase};
use super::Lawful;
use crate::target::OnConflict;

pub(super) const LAWFUL: Lawful = Lawful {
    name: "compare-and-set",
    why: "stock and balance only fall, so that a value that is still there is still true, and a \
          write that met another value is answered 409 and may come again",
    on_conflict: OnConflict::GivesWay,
    build: |pool| judging(pool, |connection, sale| judge(connection, sale).boxed()),
};

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    // In one statement, so that stock and balance are judged as of the same moment.
    let read: Option<(Money, i64, Option<Money>)> = query_as(
        "select price, stock, (select balance from wallet where user_id = $2)
           from item where id = $1",
    )
    .bind(sale.item_id)
    .bind(sale.user_id)
    .fetch_optional(&mut *connection)
    .await?;
    // After the read: whatever it shows of the first purchase under this key, this shows it.
    if let Some(receipt) = find_repeat(connection, sale).await? {
        return Ok(receipt);
    }
    let (price, stock, balance) = read.ok_or(Refusal::UnknownItem)?;
    let item = Item::in_stock(Some(Item { price, stock }))?;
    let balance_left = item.pay(balance)?;
    let stock_left = item.stock - 1;
    set_if(
        connection,
        SET_STOCK,
        sale.item_id.0,
        item.stock,
        stock_left,
    )
    .await?;
    let balance = balance_left.0 + item.price.0;
    set_if(
        connection,
        SET_BALANCE,
        sale.user_id.0,
        balance,
        balance_left.0,
    )
    .await?;
    let key = sale.key.as_ref();
    Ok(write_purchase(connection, sale, key, item.price, balance_left).await?)
}

const SET_STOCK: &str = "update item set stock = $3 where id = $1 and stock = $2";
const SET_BALANCE: &str = "update wallet set balance = $3 where user_id = $1 and balance = $2";

async fn set_if(
    connection: &mut PgConnection,
    statement: &'static str,
    id: i64,
    read: i64,
    value: i64,
) -> Result<(), Stop> {
    let written = sqlx::query(statement)
        .bind(id)
        .bind(read)
        .bind(value)
        .execute(connection)
        .await?;
    match written.rows_affected() {
        1 => Ok(()),
        _ => Err(Stop::Failed(PurchaseError::Conflict(
            "the row holds another value by now".into(),
        ))),
    }
}
