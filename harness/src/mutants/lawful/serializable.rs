//! SERIALIZABLE, tried again until it is.

use sqlx::{PgConnection, PgPool};

use super::super::decider::{Decision, Sale, deciding, end};
use super::super::sql::{
    Item, find_repeat, read_item, read_wallet, set_balance, set_stock, write_purchase,
};
use super::Lawful;
use super::retry::retry;
use crate::target::OnConflict;

pub(super) const LAWFUL: Lawful = Lawful {
    name: "serializable",
    why: "PostgreSQL lets commit only what some order one after another could have done, and the \
          rest is tried again",
    on_conflict: OnConflict::TriesAgain,
    build: |pool| {
        deciding(pool, |pool, sale| {
            retry(move || attempt(pool.clone(), sale.clone()))
        })
    },
};

pub(super) async fn attempt(pool: PgPool, sale: Sale) -> Decision {
    let mut transaction = pool
        .begin_with("begin isolation level serializable")
        .await?;
    let decision = judge(&mut transaction, &sale).await;
    end(transaction, decision).await
}

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item = read_item(connection, sale.item_id).await?;
    if let Some(receipt) = find_repeat(connection, sale).await? {
        return Ok(receipt);
    }
    let item = Item::in_stock(item)?;
    let balance_left = item.pay(read_wallet(connection, sale.user_id).await?)?;
    set_balance(connection, sale.user_id, balance_left).await?;
    set_stock(connection, sale.item_id, item.stock - 1).await?;
    let key = sale.key.as_ref();
    Ok(write_purchase(connection, sale, key, item.price, balance_left).await?)
}
