//! The check and the write are one statement.

use purchase_service::order::{ItemId, Money, Refusal, UserId};
use sqlx::{PgConnection, PgPool, query_scalar};

use super::super::decider::{Decision, Sale, deciding, end};
use super::super::sql::{find_repeat, read_item, read_wallet, write_purchase};
use super::Lawful;
use crate::target::OnConflict;

pub(super) const LAWFUL: Lawful = Lawful {
    name: "conditional-update",
    why: "each UPDATE bears its condition, waits for the row, and judges it as it is by then",
    on_conflict: OnConflict::TriesAgain,
    build: |pool| deciding(pool, decide),
};

async fn decide(pool: PgPool, sale: Sale) -> Decision {
    let mut transaction = pool.begin().await?;
    let decision = judge(&mut transaction, &sale).await;
    match end(transaction, decision).await {
        // A repeat fails too: at its key's constraint, or because the first took the last unit.
        Err(stop) => {
            let repeat = find_repeat(&mut *pool.acquire().await?, &sale).await?;
            repeat.ok_or(stop)
        }
        sold => sold,
    }
}

async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let Some(price) = take_unit_in_stock(connection, sale.item_id).await? else {
        let item = read_item(connection, sale.item_id).await?;
        let refusal = item.map_or(Refusal::UnknownItem, |_| Refusal::OutOfStock);
        return Err(refusal.into());
    };
    let Some(balance_left) = charge_covered(connection, sale.user_id, price).await? else {
        let wallet = read_wallet(connection, sale.user_id).await?;
        let refusal = wallet.map_or(Refusal::UnknownUser, |_| Refusal::InsufficientBalance);
        return Err(refusal.into());
    };
    let key = sale.key.as_ref();
    Ok(write_purchase(connection, sale, key, price, balance_left).await?)
}

/// Takes a unit if one is left by then, and says what it costs.
async fn take_unit_in_stock(
    connection: &mut PgConnection,
    item_id: ItemId,
) -> sqlx::Result<Option<Money>> {
    query_scalar("update item set stock = stock - 1 where id = $1 and stock > 0 returning price")
        .bind(item_id)
        .fetch_optional(connection)
        .await
}

/// Takes the price if the balance covers it by then, and says what is left.
async fn charge_covered(
    connection: &mut PgConnection,
    user_id: UserId,
    price: Money,
) -> sqlx::Result<Option<Money>> {
    query_scalar(
        "update wallet set balance = balance - $2
          where user_id = $1 and balance >= $2 returning balance",
    )
    .bind(user_id)
    .bind(price)
    .fetch_optional(connection)
    .await
}
