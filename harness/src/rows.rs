//! Puts the shop's rows back between runs, and reads what a run left, each in one round trip.
//!
//! Rows are put back by UPDATE and DELETE, sequences to where they stood before the first
//! purchase, so that the same schedule makes the same ids. Where the target has tables of its own,
//! those are put back first, and the shop's rows are all made anew, as when the target saw them
//! come for the first time.

use purchase_service::order::{ItemId, Money, PurchaseId, UserId};
use rowlock_shop::rows::{FinalRows, Item, Purchase, Shop};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, PgExecutor};

use crate::baseline::Baseline;
use crate::bounded;
use crate::environment::EnvironmentError;

/// A quick way to the rows, on a connection of its own, for whoever runs program after program.
#[derive(Debug)]
pub(crate) struct Rows {
    connection: PgConnection,
    baseline: Baseline,
}

impl Rows {
    pub(crate) async fn open(
        options: PgConnectOptions,
        baseline: Baseline,
    ) -> Result<Rows, sqlx::Error> {
        let options = bounded::options(options).disable_statement_logging();
        let connection = options.connect().await?;
        Ok(Rows {
            connection,
            baseline,
        })
    }

    /// Remembers anew what is to be put back, if the target has made tables meanwhile.
    pub(crate) async fn renew(&mut self) -> Result<(), EnvironmentError> {
        let renewed = self.baseline.renew(&mut self.connection).await;
        self.explained(renewed).await
    }

    /// Makes the shop's rows those of `shop`, without any purchase, and the target's own tables
    /// what they were before any.
    pub(crate) async fn reset(&mut self, shop: &Shop) -> Result<(), EnvironmentError> {
        self.execute(reset_sql(shop, &self.baseline)).await
    }

    /// Clears away what resetting many times leaves behind.
    pub(crate) async fn vacuum(&mut self) -> Result<(), EnvironmentError> {
        let mut tables = vec!["item", "wallet", "purchase"];
        tables.extend(self.baseline.own_tables());
        self.execute(format!("vacuum {}", tables.join(", "))).await
    }

    /// The shop's rows; the purchases only where `with_purchases`.
    pub(crate) async fn read(
        &mut self,
        with_purchases: bool,
    ) -> Result<FinalRows, EnvironmentError> {
        let rows = read_rows(&mut self.connection, with_purchases).await;
        self.explained(rows).await
    }

    pub(crate) async fn close(self) {
        // There is nothing to lose on it.
        let _ = self.connection.close().await;
    }

    async fn execute(&mut self, sql: String) -> Result<(), EnvironmentError> {
        let done = self
            .connection
            .execute(sqlx::raw_sql(AssertSqlSafe(sql)))
            .await;
        self.explained(done).await.map(drop)
    }

    /// What was `done`, or why not, with whoever was in the way.
    async fn explained<T>(&mut self, done: Result<T, sqlx::Error>) -> Result<T, EnvironmentError> {
        bounded::explained(&mut self.connection, done).await
    }
}

/// Makes the shop's rows those of `shop`. Only numbers are put into the text.
pub(crate) fn reset_sql(shop: &Shop, baseline: &Baseline) -> String {
    let mut sql = match baseline.has_own_tables() {
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
pub(crate) async fn read_rows<'e>(
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
