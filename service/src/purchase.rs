//! The locked purchase: the only file of the service that locks rows.
//!
//! One READ COMMITTED transaction, one round trip for each statement, always in this order:
//!
//! 1. lock the item row; whoever holds it is alone with the item's stock;
//! 2. look the idempotency key up: a statement under READ COMMITTED sees what others committed
//!    while it waited for the lock, so a repeat finds the purchase that it repeats;
//! 3. judge the stock;
//! 4. lock the wallet row and judge the balance;
//! 5. deduct, decrement, insert the purchase row, commit.
//!
//! Item before wallet, always: two purchases can then never wait for each other in a circle.
//! A refusal is a value and rolls back; an error rolls back and stops the work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use sqlx::postgres::PgPool;
use sqlx::query_as;
use tokio::time::{sleep, timeout};

use crate::backoff::backoff;
use crate::order::{IdempotencyKey, ItemId, Money, Order, PurchaseId, Receipt, Refusal, UserId};
use crate::purchaser::{Outcome, PurchaseError, Purchaser};
use crate::session::{BeginError, Session};

/// How often a purchase that gave way to others is tried again.
const MAX_RETRIES: u32 = 3;

/// Purchases under row locks.
#[derive(Debug)]
pub struct LockedPurchase {
    pool: PgPool,
    transaction_timeout: Duration,
    retries: AtomicU64,
}

impl LockedPurchase {
    /// Purchases on connections of `pool`. A transaction that takes longer than
    /// `transaction_timeout`, because the server has stopped answering, is given up.
    pub fn new(pool: PgPool, transaction_timeout: Duration) -> Self {
        Self {
            pool,
            transaction_timeout,
            retries: AtomicU64::new(u64::from(std::process::id())),
        }
    }

    async fn decide(
        &self,
        order: Order,
        key: Option<&IdempotencyKey>,
    ) -> Result<Outcome, PurchaseError> {
        let mut retry = 0;
        loop {
            match self.attempt(order, key).await {
                Ok(outcome) => return Ok(outcome),
                Err(Failure::Begin(error)) => return Err(PurchaseError::Busy(error.into())),
                Err(Failure::Statement(error)) if gave_way(&error) => {
                    if retry == MAX_RETRIES {
                        return Err(PurchaseError::Conflict(error.into()));
                    }
                }
                Err(failure) => return Err(PurchaseError::Unexpected(failure.into())),
            }
            sleep(backoff(retry, self.retries.fetch_add(1, Ordering::Relaxed))).await;
            retry += 1;
        }
    }

    /// Runs the transaction once. On every way out it is over, or its connection closed.
    async fn attempt(
        &self,
        order: Order,
        key: Option<&IdempotencyKey>,
    ) -> Result<Outcome, Failure> {
        let mut session = Session::begin(&self.pool, self.transaction_timeout).await?;
        let transaction = async move {
            match judge(&mut session, order, key).await {
                Ok(Ok(receipt)) => {
                    session.commit().await?;
                    Ok(Ok(receipt))
                }
                // Nothing was changed, so the refusal stands even if the rollback fails.
                Ok(Err(refusal)) => {
                    session.rollback().await.ok();
                    Ok(Err(refusal))
                }
                Err(error) => {
                    session.rollback().await.ok();
                    Err(Failure::Statement(error))
                }
            }
        };
        timeout(self.transaction_timeout, transaction)
            .await
            .unwrap_or(Err(Failure::Silent))
    }
}

impl Purchaser for LockedPurchase {
    fn purchase(
        self: Arc<Self>,
        order: Order,
        key: Option<IdempotencyKey>,
    ) -> BoxFuture<'static, Result<Outcome, PurchaseError>> {
        async move { self.decide(order, key.as_ref()).await }.boxed()
    }
}

/// The statements between BEGIN and the end of the transaction.
async fn judge(
    session: &mut Session,
    order: Order,
    key: Option<&IdempotencyKey>,
) -> sqlx::Result<Outcome> {
    let item = lock_item(session, order.item_id).await?;
    // Before anything else is judged: the repeat of a purchase that took the last unit returns
    // its receipt.
    if let Some(outcome) = find_repeat(session, order, key).await? {
        return Ok(outcome);
    }
    let Some((price, stock)) = item else {
        return Ok(Err(Refusal::UnknownItem));
    };
    if stock <= 0 {
        return Ok(Err(Refusal::OutOfStock));
    }
    let Some(balance) = lock_wallet(session, order.user_id).await? else {
        return Ok(Err(Refusal::UnknownUser));
    };
    if balance < price {
        // While this waited for the wallet, a purchase of another item may have used the key,
        // and the money. Then the key decides the answer, not the balance.
        let repeat = find_repeat(session, order, key).await?;
        return Ok(repeat.unwrap_or(Err(Refusal::InsufficientBalance)));
    }
    take(session, order, price, key).await.map(Ok)
}

async fn lock_item(session: &mut Session, item_id: ItemId) -> sqlx::Result<Option<(Money, i64)>> {
    session
        .row(query_as("select price, stock from item where id = $1 for update").bind(item_id))
        .await
}

async fn lock_wallet(session: &mut Session, user_id: UserId) -> sqlx::Result<Option<Money>> {
    let lock = query_as("select balance from wallet where user_id = $1 for update").bind(user_id);
    Ok(session.row(lock).await?.map(|(balance,)| balance))
}

/// The outcome that the key already stands for, if it does.
async fn find_repeat(
    session: &mut Session,
    order: Order,
    key: Option<&IdempotencyKey>,
) -> sqlx::Result<Option<Outcome>> {
    let Some(key) = key else { return Ok(None) };
    let first: Option<Receipt> = session
        .row(
            query_as(
                "select id as purchase_id, user_id, item_id, price, balance_left
                   from purchase where idempotency_key = $1",
            )
            .bind(key),
        )
        .await?;
    Ok(first.map(|receipt| {
        let same = receipt.user_id == order.user_id && receipt.item_id == order.item_id;
        if same {
            Ok(receipt)
        } else {
            Err(Refusal::KeyReused)
        }
    }))
}

/// Takes the price and the unit, and writes the purchase down. Both rows are locked.
async fn take(
    session: &mut Session,
    Order { user_id, item_id }: Order,
    price: Money,
    key: Option<&IdempotencyKey>,
) -> sqlx::Result<Receipt> {
    let deduct =
        query_as("update wallet set balance = balance - $2 where user_id = $1 returning balance");
    let (balance_left,): (Money,) = one(session.row(deduct.bind(user_id).bind(price)).await?)?;
    let decrement = query_as("update item set stock = stock - 1 where id = $1 returning stock");
    let (_stock_left,): (i64,) = one(session.row(decrement.bind(item_id)).await?)?;
    let insert = query_as(
        "insert into purchase (user_id, item_id, price, balance_left, idempotency_key)
         values ($1, $2, $3, $4, $5) returning id",
    );
    let insert = insert
        .bind(user_id)
        .bind(item_id)
        .bind(price)
        .bind(balance_left)
        .bind(key);
    let (purchase_id,): (PurchaseId,) = one(session.row(insert).await?)?;
    Ok(Receipt {
        purchase_id,
        user_id,
        item_id,
        price,
        balance_left,
    })
}

fn one<T>(row: Option<T>) -> sqlx::Result<T> {
    row.ok_or(sqlx::Error::RowNotFound)
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Begin(#[from] BeginError),
    #[error(transparent)]
    Statement(#[from] sqlx::Error),
    #[error("the database did not answer before the transaction's deadline")]
    Silent,
}

/// Whether the transaction was sacrificed to another one and may succeed when tried again.
///
/// Besides 40001 (serialization failure), 40P01 (deadlock) and 55P03 (lock timeout) that is the
/// key's own constraint: two purchases of different items raced with one key, and the next
/// attempt will find it. Each of them says that Postgres has rolled back, even as the answer to
/// COMMIT. A broken connection does not, and is never tried again.
fn gave_way(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    matches!(error.code().as_deref(), Some("40001" | "40P01" | "55P03"))
        || error.constraint() == Some("purchase_idempotency_key_unique")
}
