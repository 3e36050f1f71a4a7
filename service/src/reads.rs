//! What the shop shows: plain reads that lock nothing.
//!
//! They have a small pool of their own, so that looking does not queue behind buying.

use std::time::Duration;

use serde::Serialize;
use sqlx::postgres::{PgArguments, PgPool, PgRow, Postgres};
use sqlx::query::QueryAs;
use sqlx::{FromRow, query_as};
use tokio::time::timeout;

use crate::order::{ItemId, Money, PurchaseId, UserId};

/// The most items in one answer.
pub(crate) const PAGE: usize = 1000;

/// The most items that the page shows at once.
pub(crate) const OFFERS: i64 = 48;

/// A read that takes longer is given up: the server has stopped answering.
const PATIENCE: Duration = Duration::from_secs(5);

/// An item as the shop shows it.
#[derive(Debug, Serialize, FromRow)]
pub(crate) struct Item {
    id: ItemId,
    name: String,
    price: Money,
    stock: i64,
}

/// Items by id. `next` is what to pass as `after` for the following page, if there may be one.
#[derive(Debug, Serialize)]
pub(crate) struct Items {
    items: Vec<Item>,
    next: Option<ItemId>,
}

/// A wallet as its owner sees it.
#[derive(Debug, Serialize, FromRow)]
pub(crate) struct Wallet {
    pub(crate) user_id: UserId,
    pub(crate) balance: Money,
}

/// An item as the page offers it: with a fresh key, for a buyer whose browser makes none.
#[derive(Debug, FromRow)]
pub(crate) struct Offer {
    pub(crate) id: ItemId,
    pub(crate) name: String,
    pub(crate) price: Money,
    pub(crate) stock: i64,
    pub(crate) key: String,
}

/// How many of an item are left.
#[derive(Debug, Clone, Copy, FromRow)]
pub(crate) struct Stock {
    pub(crate) id: ItemId,
    pub(crate) stock: i64,
}

/// A purchase as its buyer may see it again.
#[derive(Debug, FromRow)]
pub(crate) struct PastPurchase {
    pub(crate) purchase_id: PurchaseId,
    pub(crate) item_id: ItemId,
    pub(crate) name: String,
    pub(crate) price: Money,
    /// Not written down by every service that shares the tables.
    pub(crate) balance_left: Option<Money>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("no database connection in time")]
    Acquire(#[source] sqlx::Error),
    #[error("the database did not answer")]
    Silent,
    #[error("the read failed")]
    Statement(#[source] sqlx::Error),
}

pub(crate) async fn items(pool: &PgPool, after: Option<ItemId>) -> Result<Items, ReadError> {
    let query = query_as(
        "select id, name, price, stock from item
          where $1 is null or id > $1 order by id limit $2",
    );
    let items: Vec<Item> = rows(pool, query.bind(after).bind(PAGE as i64)).await?;
    let next = items
        .last()
        .filter(|_| items.len() == PAGE)
        .map(|item| item.id);
    Ok(Items { items, next })
}

pub(crate) async fn item(pool: &PgPool, id: ItemId) -> Result<Option<Item>, ReadError> {
    let query = query_as("select id, name, price, stock from item where id = $1").bind(id);
    Ok(rows(pool, query).await?.pop())
}

pub(crate) async fn wallet(pool: &PgPool, user_id: UserId) -> Result<Option<Wallet>, ReadError> {
    let query = query_as("select user_id, balance from wallet where user_id = $1").bind(user_id);
    Ok(rows(pool, query).await?.pop())
}

/// The first `limit` items after `after`, by id.
pub(crate) async fn offers(
    pool: &PgPool,
    after: Option<ItemId>,
    limit: i64,
) -> Result<Vec<Offer>, ReadError> {
    let query = query_as(
        "select id, name, price, stock, gen_random_uuid()::text as key from item
          where $1 is null or id > $1 order by id limit $2",
    );
    rows(pool, query.bind(after).bind(limit)).await
}

/// The stock of the same items.
pub(crate) async fn stock(
    pool: &PgPool,
    after: Option<ItemId>,
    limit: i64,
) -> Result<Vec<Stock>, ReadError> {
    let query =
        query_as("select id, stock from item where $1 is null or id > $1 order by id limit $2");
    rows(pool, query.bind(after).bind(limit)).await
}

/// A purchase, if it is the user's.
pub(crate) async fn purchase(
    pool: &PgPool,
    user_id: UserId,
    purchase_id: PurchaseId,
) -> Result<Option<PastPurchase>, ReadError> {
    let query = query_as(
        "select purchase.id as purchase_id, item_id, name, purchase.price, balance_left
           from purchase join item on item.id = item_id
          where purchase.id = $1 and user_id = $2",
    );
    Ok(rows(pool, query.bind(purchase_id).bind(user_id))
        .await?
        .pop())
}

/// Asks the database whether it is there.
pub(crate) async fn health(pool: &PgPool) -> Result<(), ReadError> {
    rows::<(i32,)>(pool, query_as("select 1")).await.map(drop)
}

async fn rows<T>(
    pool: &PgPool,
    query: QueryAs<'_, Postgres, T, PgArguments>,
) -> Result<Vec<T>, ReadError>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let mut connection = pool.acquire().await.map_err(ReadError::Acquire)?;
    match timeout(PATIENCE, query.fetch_all(&mut *connection)).await {
        Ok(rows) => rows.map_err(ReadError::Statement),
        Err(_) => {
            connection.close_on_drop();
            Err(ReadError::Silent)
        }
    }
}
