//! Locks both rows, but decides by what it read before the lock.
//!
//! A reviewer sees FOR UPDATE and is content; a buyer who waited for the lock still takes the
//! stock of before it.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use purchase_service::order::{IdempotencyKey, ItemId, Money, Order, PurchaseId, Receipt, Refusal};
use purchase_service::purchaser::{Outcome, PurchaseError, Purchaser};
use sqlx::PgPool;

use crate::target::BuildPurchaser;

pub(super) const MUTANT: BuildPurchaser = BuildPurchaser {
    name: "stale-after-lock",
    build: |pool| Arc::new(StaleAfterLock { pool }),
};

struct StaleAfterLock {
    pool: PgPool,
}

impl Purchaser for StaleAfterLock {
    fn purchase(
        self: Arc<Self>,
        order: Order,
        _: Option<IdempotencyKey>,
    ) -> BoxFuture<'static, Result<Outcome, PurchaseError>> {
        async move {
            let decided = self.decide(order).await;
            decided.map_err(|error| PurchaseError::Unexpected(error.into()))
        }
        .boxed()
    }
}

impl StaleAfterLock {
    async fn decide(&self, Order { user_id, item_id }: Order) -> sqlx::Result<Outcome> {
        let mut transaction = self.pool.begin().await?;
        let item: Option<(Money, i64)> =
            sqlx::query_as("select price, stock from item where id = $1")
                .bind(item_id)
                .fetch_optional(&mut *transaction)
                .await?;
        let Some((price, stock)) = item else {
            return Ok(Err(Refusal::UnknownItem));
        };
        let wallet: Option<(Money,)> =
            sqlx::query_as("select balance from wallet where user_id = $1")
                .bind(user_id)
                .fetch_optional(&mut *transaction)
                .await?;
        let Some((balance,)) = wallet else {
            return Ok(Err(Refusal::UnknownUser));
        };
        lock(
            &mut transaction,
            "select 1 from item where id = $1 for update",
            item_id.0,
        )
        .await?;
        if stock < 1 {
            return Ok(Err(Refusal::OutOfStock));
        }
        lock(
            &mut transaction,
            "select 1 from wallet where user_id = $1 for update",
            user_id.0,
        )
        .await?;
        if balance < price {
            return Ok(Err(Refusal::InsufficientBalance));
        }
        let balance_left = Money(balance.0 - price.0);
        sqlx::query("update wallet set balance = $2 where user_id = $1")
            .bind(user_id)
            .bind(balance_left)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("update item set stock = $2 where id = $1")
            .bind(item_id)
            .bind(stock - 1)
            .execute(&mut *transaction)
            .await?;
        let purchase_id = insert_purchase(&mut transaction, user_id, item_id, price).await?;
        transaction.commit().await?;
        Ok(Ok(Receipt {
            purchase_id,
            user_id,
            item_id,
            price,
            balance_left,
        }))
    }
}

async fn lock(connection: &mut sqlx::PgConnection, sql: &'static str, id: i64) -> sqlx::Result<()> {
    sqlx::query(sql)
        .bind(id)
        .execute(connection)
        .await
        .map(drop)
}

async fn insert_purchase(
    connection: &mut sqlx::PgConnection,
    user_id: purchase_service::order::UserId,
    item_id: ItemId,
    price: Money,
) -> sqlx::Result<PurchaseId> {
    sqlx::query_scalar(
        "insert into purchase (user_id, item_id, price) values ($1, $2, $3) returning id",
    )
    .bind(user_id)
    .bind(item_id)
    .bind(price)
    .fetch_one(connection)
    .await
}
