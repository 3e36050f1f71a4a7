//! The statements that mutants share, each right in itself. The bugs are in how they are used.

use purchase_service::order::{
    IdempotencyKey, ItemId, Money, PurchaseId, Receipt, Refusal, UserId,
};
use sqlx::{PgConnection, query_as, query_scalar};

use super::decider::{Decision, Sale, Stop};

/// A row of `item`.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub(super) struct Item {
    pub(super) price: Money,
    pub(super) stock: i64,
}

impl Item {
    /// The item, if a unit is there to sell.
    pub(super) fn in_stock(item: Option<Item>) -> Result<Item, Refusal> {
        let item = item.ok_or(Refusal::UnknownItem)?;
        if item.stock < 1 {
            return Err(Refusal::OutOfStock);
        }
        Ok(item)
    }

    /// What the price leaves of the balance.
    pub(super) fn pay(self, balance: Option<Money>) -> Result<Money, Refusal> {
        let Money(balance) = balance.ok_or(Refusal::UnknownUser)?;
        if balance < self.price.0 {
            return Err(Refusal::InsufficientBalance);
        }
        Ok(Money(balance - self.price.0))
    }
}

/// The right judgement, item before wallet, both under their locks: for mutants whose bug is
/// elsewhere.
pub(super) async fn judge(connection: &mut PgConnection, sale: &Sale) -> Decision {
    let item = lock_item(connection, sale.item_id).await?;
    if let Some(receipt) = find_repeat(connection, sale).await? {
        return Ok(receipt);
    }
    let item = Item::in_stock(item)?;
    let balance = lock_wallet(connection, sale.user_id).await?;
    if let Err(refusal) = item.pay(balance) {
        // A purchase of another item may have used the key, and the money, just before.
        let repeat = find_repeat(connection, sale).await?;
        return repeat.ok_or(refusal.into());
    }
    let balance_left = charge(connection, sale.user_id, item.price).await?;
    take_unit(connection, sale.item_id).await?;
    let key = sale.key.as_ref();
    Ok(write_purchase(connection, sale, key, item.price, balance_left).await?)
}

/// Reads the item without a lock.
pub(super) async fn read_item(
    connection: &mut PgConnection,
    item_id: ItemId,
) -> sqlx::Result<Option<Item>> {
    query_as("select price, stock from item where id = $1")
        .bind(item_id)
        .fetch_optional(connection)
        .await
}

/// Locks the item until the transaction ends.
pub(super) async fn lock_item(
    connection: &mut PgConnection,
    item_id: ItemId,
) -> sqlx::Result<Option<Item>> {
    query_as("select price, stock from item where id = $1 for update")
        .bind(item_id)
        .fetch_optional(connection)
        .await
}

/// Shares a lock on the item with other readers until the transaction ends.
pub(super) async fn share_item(
    connection: &mut PgConnection,
    item_id: ItemId,
) -> sqlx::Result<Option<Item>> {
    query_as("select price, stock from item where id = $1 for share")
        .bind(item_id)
        .fetch_optional(connection)
        .await
}

/// Reads the balance without a lock.
pub(super) async fn read_wallet(
    connection: &mut PgConnection,
    user_id: UserId,
) -> sqlx::Result<Option<Money>> {
    query_scalar("select balance from wallet where user_id = $1")
        .bind(user_id)
        .fetch_optional(connection)
        .await
}

/// Locks the wallet until the transaction ends.
pub(super) async fn lock_wallet(
    connection: &mut PgConnection,
    user_id: UserId,
) -> sqlx::Result<Option<Money>> {
    query_scalar("select balance from wallet where user_id = $1 for update")
        .bind(user_id)
        .fetch_optional(connection)
        .await
}

/// The receipt that the sale's key already stands for, if it does.
pub(super) async fn find_repeat(
    connection: &mut PgConnection,
    sale: &Sale,
) -> Result<Option<Receipt>, Stop> {
    let Some(key) = &sale.key else {
        return Ok(None);
    };
    let first: Option<Receipt> = query_as(
        "select id as purchase_id, user_id, item_id, price, balance_left
           from purchase where idempotency_key = $1",
    )
    .bind(key)
    .fetch_optional(connection)
    .await?;
    match first {
        Some(receipt) if (receipt.user_id, receipt.item_id) != (sale.user_id, sale.item_id) => {
            Err(Refusal::KeyReused.into())
        }
        first => Ok(first),
    }
}

/// Takes the price of an item from a wallet that covers it, under the wallet's lock.
pub(super) async fn pay(
    connection: &mut PgConnection,
    sale: &Sale,
    item: Item,
) -> Result<Money, Stop> {
    item.pay(lock_wallet(connection, sale.user_id).await?)?;
    Ok(charge(connection, sale.user_id, item.price).await?)
}

/// Takes a unit of what is paid, under the item's lock, and writes the purchase down, without a key.
pub(super) async fn hand_over(
    connection: &mut PgConnection,
    sale: &Sale,
    item: Item,
    balance_left: Money,
) -> Decision {
    Item::in_stock(lock_item(connection, sale.item_id).await?)?;
    take_unit(connection, sale.item_id).await?;
    Ok(write_purchase(connection, sale, None, item.price, balance_left).await?)
}

/// Takes the price and the unit, and writes the purchase down, without a key.
pub(super) async fn take(connection: &mut PgConnection, sale: &Sale, price: Money) -> Decision {
    let balance_left = charge(connection, sale.user_id, price).await?;
    take_unit(connection, sale.item_id).await?;
    Ok(write_purchase(connection, sale, None, price, balance_left).await?)
}

/// Takes the price from the balance that the wallet has by then, and says what is left.
pub(super) async fn charge(
    connection: &mut PgConnection,
    user_id: UserId,
    price: Money,
) -> sqlx::Result<Money> {
    query_scalar("update wallet set balance = balance - $2 where user_id = $1 returning balance")
        .bind(user_id)
        .bind(price)
        .fetch_one(connection)
        .await
}

/// Takes a unit from the stock that the item has by then.
pub(super) async fn take_unit(connection: &mut PgConnection, item_id: ItemId) -> sqlx::Result<()> {
    sqlx::query("update item set stock = stock - 1 where id = $1")
        .bind(item_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Overwrites the balance.
pub(super) async fn set_balance(
    connection: &mut PgConnection,
    user_id: UserId,
    balance: Money,
) -> sqlx::Result<()> {
    sqlx::query("update wallet set balance = $2 where user_id = $1")
        .bind(user_id)
        .bind(balance)
        .execute(connection)
        .await?;
    Ok(())
}

/// Overwrites the stock.
pub(super) async fn set_stock(
    connection: &mut PgConnection,
    item_id: ItemId,
    stock: i64,
) -> sqlx::Result<()> {
    sqlx::query("update item set stock = $2 where id = $1")
        .bind(item_id)
        .bind(stock)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes the purchase down, under a key if it has one.
pub(super) async fn write_purchase(
    connection: &mut PgConnection,
    sale: &Sale,
    key: Option<&IdempotencyKey>,
    price: Money,
    balance_left: Money,
) -> sqlx::Result<Receipt> {
    let purchase_id: PurchaseId = query_scalar(
        "insert into purchase (user_id, item_id, price, balance_left, idempotency_key)
         values ($1, $2, $3, $4, $5) returning id",
    )
    .bind(sale.user_id)
    .bind(sale.item_id)
    .bind(price)
    .bind(balance_left)
    .bind(key)
    .fetch_one(connection)
    .await?;
    Ok(receipt(sale, purchase_id, price, balance_left))
}

/// Writes the purchase down, unless one is there under its key.
pub(super) async fn insert_once(
    connection: &mut PgConnection,
    sale: &Sale,
    price: Money,
    balance_left: Money,
) -> sqlx::Result<Option<PurchaseId>> {
    query_scalar(
        "insert into purchase (user_id, item_id, price, balance_left, idempotency_key)
         values ($1, $2, $3, $4, $5)
         on conflict (idempotency_key) do nothing returning id",
    )
    .bind(sale.user_id)
    .bind(sale.item_id)
    .bind(price)
    .bind(balance_left)
    .bind(sale.key.as_ref())
    .fetch_optional(connection)
    .await
}

/// What the buyer is told.
pub(super) fn receipt(
    sale: &Sale,
    purchase_id: PurchaseId,
    price: Money,
    balance_left: Money,
) -> Receipt {
    Receipt {
        purchase_id,
        user_id: sale.user_id,
        item_id: sale.item_id,
        price,
        balance_left,
    }
}
