//! Versions: nothing is locked before it is written, and what has changed meanwhile is read again.

use purchase_service::order::{Money, Refusal};
use purchase_service::purchaser::PurchaseError;
use sqlx::{PgConnection, PgPool, query_as};

use super::super::decider::{Decision, Sale, Stop, deciding_after, end};
use super::super::sql::{Item, find_repeat, write_purchase};
use super::Lawful;
use super::retry::retry;
use crate::target::OnConflict;

pub(super) const LAWFUL: Lawful = Lawful {
    name: "optimistic-version",
    why: "a row is written only if its version is still the one that was judged, and a write \
          that met no row starts the purchase anew",
    on_conflict: OnConflict::TriesAgain,
    build: |pool| {
        deciding_after(pool, SCHEMA, |pool, sale| {
            retry(move || attempt(pool.clone(), sale.clone()))
        })
    },
};

const SCHEMA: &str = "
    alter table item   add column if not exists version bigint not null default 0;
    alter table wallet add column if not exists version bigint not null default 0";

async fn attempt(pool: PgPool, sale: Sale) -> Decision {
    let mut transaction = pool.begin().await?;
    let decision = judge(&mut transaction, &sale).await;
    end(transaction, decision).await
}

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item: Option<(Money, i64, i64)> =
        query_as("select price, stock, version from item where id = $1")
            .bind(sale.item_id)
            .fetch_optional(&mut *connection)
            .await?;
    let wallet: Option<(Money, i64)> =
        query_as("select balance, version from wallet where user_id = $1")
            .bind(sale.user_id)
            .fetch_optional(&mut *connection)
            .await?;
    // After the reads: whatever they show of the first purchase under this key, this shows it.
    if let Some(receipt) = find_repeat(connection, sale).await? {
        return Ok(receipt);
    }
    let (price, stock, item_version) = item.ok_or(Refusal::UnknownItem)?;
    let item = Item::in_stock(Some(Item { price, stock }))?;
    let balance_left = item.pay(wallet.map(|(balance, _)| balance))?;
    let (_, wallet_version) = wallet.ok_or(Refusal::UnknownUser)?;

    let item_id = sale.item_id.0;
    write_if(connection, WRITE_ITEM, item_id, item_version, stock - 1).await?;
    let user_id = sale.user_id.0;
    write_if(
        connection,
        WRITE_WALLET,
        user_id,
        wallet_version,
        balance_left.0,
    )
    .await?;
    let key = sale.key.as_ref();
    Ok(write_purchase(connection, sale, key, price, balance_left).await?)
}

const WRITE_ITEM: &str =
    "update item set stock = $3, version = version + 1 where id = $1 and version = $2";
const WRITE_WALLET: &str =
    "update wallet set balance = $3, version = version + 1 where user_id = $1 and version = $2";

async fn write_if(
    connection: &mut PgConnection,
    statement: &'static str,
    id: i64,
    version: i64,
    value: i64,
) -> Result<(), Stop> {
    let written = sqlx::query(statement)
        .bind(id)
        .bind(version)
        .bind(value)
        .execute(connection)
        .await?;
    match written.rows_affected() {
        1 => Ok(()),
        _ => Err(Stop::Failed(PurchaseError::Conflict(
            "the row has another version by now".into(),
        ))),
    }
}
