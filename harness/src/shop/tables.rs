//! The shop's rows: how they are put there between runs, and how they are read.
//!
//! Where the target has tables of its own, those are put back first, and the shop's rows are all
//! made anew, as when the target saw them come for the first time.

use purchase_service::order::{ItemId, Money, PurchaseId, UserId};
use rowlock_shop::rows::{FinalRows, Item, Purchase, Shop};
use sqlx::PgExecutor;

use crate::baseline::{Baseline, OwnRows};

/// The shop's tables, and the migrations'.
pub(super) const OWN_ROWS: OwnRows = OwnRows {
    tables: &["item", "wallet", "purchase", "_sqlx_migrations"],
    clear_sql: "delete from purchase; delete from item; delete from wallet;",
};

/// Makes the shop's rows those of `shop`. Only numbers are put into the text.
pub(super) fn reset_sql(shop: &Shop, baseline: &Baseline) -> String {
    let mut sql = match baseline.keeps_tables() {
        true => baseline.clear_sql(),
        false => clear_all_but(shop),
    };
    sql += &baseline.sequences_sql();
    let items = shop.items.iter();
    let items =
        items.map(|(id, Item { price, stock })| format!("({id},'item {id}',{price},{stock})"));
    if !shop.items.is_empty() {
        let values: Vec<_> = items.collect();
        sql += &format!(
            "insert into item (id, name, price, stock) values {}
             on conflict (id) do update set price = excluded.price, stock = excluded.stock;",
            values.join(",")
        );
    }
    let wallets = shop.wallets.iter();
    let wallets = wallets.map(|(user_id, balance)| format!("({user_id},{balance})"));
    if !shop.wallets.is_empty() {
        let values: Vec<_> = wallets.collect();
        sql += &format!(
            "insert into wallet (user_id, balance) values {}
             on conflict (user_id) do update set balance = excluded.balance;",
            values.join(",")
        );
    }
    sql
}

/// Takes away what is not of `shop`; its rows are there already, mostly.
fn clear_all_but(shop: &Shop) -> String {
    let ids: Vec<_> = shop.items.keys().map(|id| id.0).collect();
    let user_ids: Vec<_> = shop.wallets.keys().map(|id| id.0).collect();
    format!(
        "delete from purchase;
         delete from item where id <> all ('{{{}}}'::int8[]);
         delete from wallet where user_id <> all ('{{{}}}'::int8[]);",
        list(&ids),
        list(&user_ids)
    )
}

fn list(ids: &[i64]) -> String {
    let ids: Vec<_> = ids.iter().map(i64::to_string).collect();
    ids.join(",")
}

/// The shop's rows, all as of one moment, since others may be writing; the purchases only where
/// `with_purchases`.
pub(super) async fn read_rows<'e>(
    executor: impl PgExecutor<'e>,
    with_purchases: bool,
) -> Result<FinalRows, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select 0::int2, id, price, stock, null::int8, null::text from item
         union all
         select 1::int2, user_id, balance, null, null, null from wallet
         union all
         select 2::int2, id, user_id, item_id, price, idempotency_key from purchase
         order by 1, 2",
    )
    .fetch_all(executor)
    .await?;
    Ok(final_rows(rows, with_purchases))
}

type Row = (i16, i64, i64, Option<i64>, Option<i64>, Option<String>);

fn final_rows(rows: Vec<Row>, with_purchases: bool) -> FinalRows {
    let mut shop = Shop::default();
    let mut purchases = Vec::new();
    for (kind, id, first, second, third, key) in rows {
        match kind {
            0 => {
                let item = Item {
                    price: Money(first),
                    stock: second.unwrap_or_default(),
                };
                shop.items.insert(ItemId(id), item);
            }
            1 => drop(shop.wallets.insert(UserId(id), Money(first))),
            _ => purchases.push(Purchase {
                purchase_id: PurchaseId(id),
                user_id: UserId(first),
                item_id: ItemId(second.unwrap_or_default()),
                price: Money(third.unwrap_or_default()),
                idempotency_key: key,
            }),
        }
    }
    FinalRows {
        shop,
        purchases: with_purchases.then_some(purchases),
    }
}
