//! The whole purchase in one call of a PL/pgSQL function.

use purchase_service::order::{Money, PurchaseId, Refusal};
use sqlx::{PgPool, query_as};

use super::super::decider::{Decision, Sale, deciding_after};
use super::super::sql::receipt;
use super::Lawful;
use super::retry::retry;
use crate::target::OnConflict;

pub(super) const LAWFUL: Lawful = Lawful {
    name: "function-call",
    why: "one statement is one transaction, and inside it the rows are locked, item before wallet",
    on_conflict: OnConflict::TriesAgain,
    build: |pool| {
        deciding_after(pool, SCHEMA, |pool, sale| {
            retry(move || attempt(pool.clone(), sale.clone()))
        })
    },
};

/// A volatile function's statements each see what was committed before they began.
const SCHEMA: &str = "
create or replace function sell(
    buyer bigint, wanted bigint, key text,
    out refused text, out bought bigint, out paid bigint, out remains bigint
) language plpgsql volatile as $$
declare
    shelf item;
    purse wallet;
    first purchase;
begin
    select * into shelf from item where id = wanted for update;
    select * into first from purchase where idempotency_key = key;
    if first.id is null and shelf.stock > 0 then
        select * into purse from wallet where user_id = buyer for update;
        if purse.balance < shelf.price then
            select * into first from purchase where idempotency_key = key;
        end if;
    end if;
    if first.id is not null then
        if first.user_id <> buyer or first.item_id <> wanted then
            refused := 'key_reused';
        else
            bought := first.id; paid := first.price; remains := first.balance_left;
        end if;
    elsif shelf.id is null then refused := 'unknown_item';
    elsif shelf.stock = 0 then refused := 'out_of_stock';
    elsif purse.user_id is null then refused := 'unknown_user';
    elsif purse.balance < shelf.price then refused := 'insufficient_balance';
    else
        paid := shelf.price;
        update wallet set balance = balance - paid where user_id = buyer
            returning balance into remains;
        update item set stock = stock - 1 where id = wanted;
        insert into purchase (user_id, item_id, price, balance_left, idempotency_key)
            values (buyer, wanted, paid, remains, key) returning id into bought;
    end if;
end $$";

type Sold = (
    Option<String>,
    Option<PurchaseId>,
    Option<Money>,
    Option<Money>,
);

async fn attempt(pool: PgPool, sale: Sale) -> Decision {
    let sold: Sold = query_as("select refused, bought, paid, remains from sell($1, $2, $3)")
        .bind(sale.user_id)
        .bind(sale.item_id)
        .bind(&sale.key)
        .fetch_one(&pool)
        .await?;
    match sold {
        (None, Some(purchase_id), Some(price), Some(balance_left)) => {
            Ok(receipt(&sale, purchase_id, price, balance_left))
        }
        (refused, ..) => Err(refusal(refused.as_deref())?.into()),
    }
}

fn refusal(word: Option<&str>) -> sqlx::Result<Refusal> {
    match word {
        Some("unknown_item") => Ok(Refusal::UnknownItem),
        Some("unknown_user") => Ok(Refusal::UnknownUser),
        Some("out_of_stock") => Ok(Refusal::OutOfStock),
        Some("insufficient_balance") => Ok(Refusal::InsufficientBalance),
        Some("key_reused") => Ok(Refusal::KeyReused),
        _ => Err(sqlx::Error::RowNotFound),
    }
}
