//! The locked purchase: the only file of the service that locks rows.
//!
//! One READ COMMITTED transaction for the orders of one item that have waited together, mostly
//! a single one, always in this order:
//!
//! 1. BEGIN, and lock the item row; whoever holds it is alone with the item's stock;
//! 2. look the idempotency keys up: a statement under READ COMMITTED sees what others committed
//!    while it waited for the lock, so a repeat finds the purchase that it repeats;
//! 3. judge the stock;
//! 4. lock the wallet rows, in the order of their ids, and judge the balances;
//! 5. deduct, decrement, insert the purchase rows in the order of their keys, and COMMIT.
//!
//! Item before wallets before keys, and wallets and keys each in one order, always: two
//! transactions can then never wait for each other in a circle. Nobody is answered before the
//! COMMIT is: a refusal that rests on what another order of the batch took is true only then.
//! Where nothing is taken, the transaction is rolled back.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::query_as;
use tokio::time::timeout;

use crate::judgement::{Decision, Item, Keyed, KeyedOrder, judge, repeat};
use crate::order::{IdempotencyKey, ItemId, Money, PurchaseId, Receipt, Refusal, UserId};
use crate::purchaser::Outcome;
use crate::session::{BeginError, CommitError, Session};

/// Why a transaction decided nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It was not begun, or the item could not be locked.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// A statement behind the item's lock failed, and all is rolled back.
    #[error(transparent)]
    Statement(#[from] sqlx::Error),
    /// The last statement or the COMMIT failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// It may be rolled back or committed.
    #[error("the database did not answer before the transaction's deadline")]
    Silent,
}

/// Runs the transaction once for `orders`, which are all of `item_id`, and returns what each is
/// to be told. On every way out it is over, or its connection closed.
pub(crate) async fn purchase(
    pool: &PgPool,
    deadline: Duration,
    item_id: ItemId,
    orders: &[KeyedOrder],
) -> Result<Vec<Outcome>, Failure> {
    let (session, item) = lock_item(pool, deadline, item_id).await?;
    timeout(deadline, settle(session, item, orders))
        .await
        .unwrap_or(Err(Failure::Silent))
}

/// From the item's lock to the end of the transaction.
async fn settle(
    mut session: Session,
    item: Option<Item>,
    orders: &[KeyedOrder],
) -> Result<Vec<Outcome>, Failure> {
    match take(&mut session, item, orders).await {
        Ok((decisions, sold)) if sold.is_empty() => {
            // Nothing was changed, so the answers stand even if the rollback fails.
            session.rollback().await.ok();
            Ok(outcomes(decisions, &HashMap::new()))
        }
        Ok((decisions, sold)) => {
            let receipts = write_down(session, orders, sold).await?;
            Ok(outcomes(decisions, &receipts))
        }
        Err(error) => {
            session.rollback().await.ok();
            Err(error.into())
        }
    }
}

/// What is sold: the places of the orders, with the receipts that lack their ids.
type Sold = Vec<(usize, Receipt)>;

/// Decides, deducts and decrements.
async fn take(
    session: &mut Session,
    item: Option<Item>,
    orders: &[KeyedOrder],
) -> sqlx::Result<(Vec<Decision>, Sold)> {
    let decisions = decide(session, item, orders).await?;
    let mut sold = Sold::new();
    let Some(item) = item else {
        return Ok((decisions, sold));
    };
    for (place, decision) in decisions.iter().enumerate() {
        if let Decision::Buys(balance_left) = *decision {
            let receipt = Receipt {
                purchase_id: PurchaseId(0),
                user_id: orders[place].0.user_id,
                item_id: item.id,
                price: item.price,
                balance_left,
            };
            sold.push((place, receipt));
        }
    }
    if !sold.is_empty() {
        deduct(session, item.price, &sold).await?;
        decrement(session, item.id, sold.len()).await?;
    }
    Ok((decisions, sold))
}

/// Looks at everything that the orders are judged by, and judges.
async fn decide(
    session: &mut Session,
    item: Option<Item>,
    orders: &[KeyedOrder],
) -> sqlx::Result<Vec<Decision>> {
    let keys: Vec<_> = orders.iter().filter_map(|(_, key)| key.as_ref()).collect();
    let keyed = find_keyed(session, &keys).await?;
    let is_open = |(order, key): &&KeyedOrder| repeat(*order, key.as_ref(), &keyed).is_none();
    let balances = if item.is_some_and(|item| item.stock > 0) {
        let open = orders.iter().filter(is_open);
        lock_wallets(session, open.map(|(order, _)| order.user_id).collect()).await?
    } else {
        HashMap::new()
    };
    let mut decisions = judge(orders, item, balances, &keyed);
    // While this waited for a wallet, a purchase of another item may have used a key, and the
    // money. Then the key decides the answer, not the balance.
    let is_poor =
        |decision: &Decision| *decision == Decision::Answered(Err(Refusal::InsufficientBalance));
    let poor = orders
        .iter()
        .zip(&decisions)
        .filter(|(_, decision)| is_poor(decision));
    let keys: Vec<_> = poor.filter_map(|((_, key), _)| key.as_ref()).collect();
    let keyed = find_keyed(session, &keys).await?;
    for ((order, key), decision) in orders.iter().zip(&mut decisions) {
        if is_poor(decision)
            && let Some(outcome) = repeat(*order, key.as_ref(), &keyed)
        {
            *decision = Decision::Answered(outcome);
        }
    }
    Ok(decisions)
}

/// What each order is told, once everything is committed.
fn outcomes(decisions: Vec<Decision>, receipts: &HashMap<usize, Receipt>) -> Vec<Outcome> {
    let outcome = |(place, decision)| match decision {
        Decision::Buys(_) => Ok(receipts[&place]),
        Decision::Repeats(first) => Ok(receipts[&first]),
        Decision::Answered(outcome) => outcome,
    };
    decisions.into_iter().enumerate().map(outcome).collect()
}

async fn lock_item(
    pool: &PgPool,
    deadline: Duration,
    item_id: ItemId,
) -> Result<(Session, Option<Item>), BeginError> {
    // An id is a number: its text can say nothing else.
    let lock = format!("select price, stock from item where id = {item_id} for update");
    let (session, rows) = Session::begin::<(Money, i64)>(pool, deadline, &lock).await?;
    let item = rows.first().map(|&(price, stock)| Item {
        id: item_id,
        price,
        stock,
    });
    Ok((session, item))
}

/// The purchases that these keys already stand for.
async fn find_keyed(session: &mut Session, keys: &[&IdempotencyKey]) -> sqlx::Result<Keyed> {
    if keys.is_empty() {
        return Ok(Keyed::new());
    }
    let find = query_as(
        "select idempotency_key, id as purchase_id, user_id, item_id, price, balance_left
           from purchase where idempotency_key = any($1)",
    );
    let found: Vec<KeyedRow> = session.rows(find.bind(keys)).await?;
    Ok(found
        .into_iter()
        .map(|row| (row.idempotency_key, row.receipt))
        .collect())
}

#[derive(sqlx::FromRow)]
struct KeyedRow {
    idempotency_key: IdempotencyKey,
    #[sqlx(flatten)]
    receipt: Receipt,
}

/// Locks the wallets that there are, and says what is in them.
async fn lock_wallets(
    session: &mut Session,
    owners: Vec<UserId>,
) -> sqlx::Result<HashMap<UserId, Money>> {
    let owners = distinct(owners);
    if owners.is_empty() {
        return Ok(HashMap::new());
    }
    let lock = query_as(
        "select user_id, balance from wallet where user_id = any($1) order by user_id for update",
    );
    let rows: Vec<(UserId, Money)> = session.rows(lock.bind(owners)).await?;
    Ok(rows.into_iter().collect())
}

/// Takes the price from each buyer, as often as he buys. All wallets are locked.
async fn deduct(session: &mut Session, price: Money, sold: &Sold) -> sqlx::Result<()> {
    let buyers: Vec<_> = sold.iter().map(|(_, receipt)| receipt.user_id).collect();
    let deduct = query_as(
        "update wallet set balance = balance - $2 * cardinality(array_positions($1, user_id))
          where user_id = any($1) returning user_id",
    );
    let wallets = distinct(buyers.clone());
    let deducted: Vec<(UserId,)> = session.rows(deduct.bind(buyers).bind(price)).await?;
    all(wallets.len(), deducted.len())
}

/// Takes the units. The item is locked.
async fn decrement(session: &mut Session, item_id: ItemId, units: usize) -> sqlx::Result<()> {
    let decrement = query_as("update item set stock = stock - $2 where id = $1 returning stock");
    let units = i64::try_from(units).unwrap_or(i64::MAX);
    let left: Vec<(i64,)> = session.rows(decrement.bind(item_id).bind(units)).await?;
    all(1, left.len())
}

/// Each of them once, in their order.
fn distinct(mut owners: Vec<UserId>) -> Vec<UserId> {
    owners.sort_unstable();
    owners.dedup();
    owners
}

fn all(expected: usize, rows: usize) -> sqlx::Result<()> {
    (rows == expected)
        .then_some(())
        .ok_or(sqlx::Error::RowNotFound)
}

/// Writes the purchases down, in the order of their keys, and commits.
async fn write_down(
    session: Session,
    orders: &[KeyedOrder],
    mut sold: Sold,
) -> Result<HashMap<usize, Receipt>, CommitError> {
    let key = |place: usize| orders[place].1.as_ref();
    sold.sort_by(|(one, _), (other, _)| key(*one).cmp(&key(*other)));
    let mut insert = String::from(
        "insert into purchase (user_id, item_id, price, balance_left, idempotency_key) values",
    );
    for (index, (place, receipt)) in sold.iter().enumerate() {
        let Receipt {
            user_id,
            item_id,
            price,
            balance_left,
            ..
        } = receipt;
        let (comma, key) = (if index == 0 { "" } else { "," }, literal(key(*place)));
        let (price, balance_left) = (price.0, balance_left.0);
        insert += &format!("{comma} ({user_id}, {item_id}, {price}, {balance_left}, {key})");
    }
    insert += " returning id";
    let ids: Vec<(PurchaseId,)> = session.commit(&insert).await?;
    // The schema lets no row be left out; if one is all the same, nobody is told that he has it.
    all(sold.len(), ids.len()).map_err(CommitError::Unknown)?;
    let receipts = sold
        .into_iter()
        .zip(ids)
        .map(|((place, receipt), (purchase_id,))| {
            (
                place,
                Receipt {
                    purchase_id,
                    ..receipt
                },
            )
        });
    Ok(receipts.collect())
}

/// The key as SQL. It is visible ASCII; in an escape string a quote and a backslash are written
/// twice, whatever the server's `standard_conforming_strings`.
fn literal(key: Option<&IdempotencyKey>) -> String {
    key.map_or("null".to_owned(), |key| {
        let escaped = key.to_string().replace('\\', r"\\").replace('\'', "''");
        format!("E'{escaped}'")
    })
}
