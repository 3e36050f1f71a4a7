//! Advisory locks of the transaction, and no row lock before the writes.

use futures::future::FutureExt;
use sqlx::PgConnection;

use super::super::decider::{Decision, Sale, judging};
use super::super::sql::{
    Item, find_repeat, read_item, read_wallet, set_balance, set_stock, write_purchase,
};
use super::Lawful;
use crate::target::OnConflict;

pub(super) const LAWFUL: Lawful = Lawful {
    name: "advisory-lock",
    why: "whoever buys an item, or from a wallet, holds its advisory lock until the transaction \
          ends, item before wallet",
    on_conflict: OnConflict::TriesAgain,
    build: |pool| judging(pool, |connection, sale| judge(connection, sale).boxed()),
};

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    advise(connection, format!("item {}", sale.item_id)).await?;
    let item = read_item(connection, sale.item_id).await?;
    if let Some(receipt) = find_repeat(connection, sale).await? {
        return Ok(receipt);
    }
    let item = Item::in_stock(item)?;
    advise(connection, format!("wallet {}", sale.user_id)).await?;
    let balance = read_wallet(connection, sale.user_id).await?;
    let balance_left = match item.pay(balance) {
        Ok(balance_left) => balance_left,
        // A purchase of another item may have used the key, and the money, just before.
        Err(refusal) => {
            let repeat = find_repeat(connection, sale).await?;
            return repeat.ok_or(refusal.into());
        }
    };
    set_balance(connection, sale.user_id, balance_left).await?;
    set_stock(connection, sale.item_id, item.stock - 1).await?;
    let key = sale.key.as_ref();
    Ok(write_purchase(connection, sale, key, item.price, balance_left).await?)
}

async fn advise(connection: &mut PgConnection, what: String) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(what)
        .execute(connection)
        .await?;
    Ok(())
}
