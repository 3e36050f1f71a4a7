//! Puts a program's rows back between runs, and reads what a run left, each in one round trip.
//!
//! Rows are put back by UPDATE and DELETE, sequences to where they stood before the first
//! purchase, so that the same schedule makes the same ids. Where the target has tables of its own,
//! those are put back first, and the shop's rows are all made anew, as when the target saw them
//! come for the first time.

use std::fmt::Write;

use rowlock_shop::rows::{FinalRows, Item, Shop};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

use crate::baseline::Baseline;
use crate::bounded;
use crate::database::read_rows;
use crate::world::EnvironmentError;

/// The harness's way to the rows of one worker's database.
#[derive(Debug)]
pub(super) struct Rows {
    connection: PgConnection,
    baseline: Baseline,
}

impl Rows {
    pub(super) async fn open(
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
    pub(super) async fn renew(&mut self) -> Result<(), EnvironmentError> {
        let renewed = self.baseline.renew(&mut self.connection).await;
        self.explained(renewed).await
    }

    /// Makes the shop's rows those of `shop`, without any purchase, and the target's own tables
    /// what they were before any.
    pub(super) async fn reset(&mut self, shop: &Shop) -> Result<(), EnvironmentError> {
        self.execute(reset_sql(shop, &self.baseline)).await
    }

    /// Clears away what resetting many times leaves behind.
    pub(super) async fn vacuum(&mut self) -> Result<(), EnvironmentError> {
        let mut tables = vec!["item", "wallet", "purchase"];
        tables.extend(self.baseline.own_tables());
        self.execute(format!("vacuum {}", tables.join(", "))).await
    }

    /// The shop's rows; the purchases only where `with_purchases`.
    pub(super) async fn read(
        &mut self,
        with_purchases: bool,
    ) -> Result<FinalRows, EnvironmentError> {
        let rows = read_rows(&mut self.connection, with_purchases).await;
        self.explained(rows).await
    }

    pub(super) async fn close(self) {
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

/// Only numbers are put into the text.
fn reset_sql(shop: &Shop, baseline: &Baseline) -> String {
    let mut sql = match baseline.has_own_tables() {
        true => baseline.clear_sql(),
        false => clear_all_but(shop),
    };
    sql += &baseline.sequences_sql();
    for (id, Item { price, stock }) in &shop.items {
        write!(
            sql,
            "insert into item (id, name, price, stock) values ({id}, 'item {id}', {price}, {stock})
             on conflict (id) do update set price = excluded.price, stock = excluded.stock;"
        )
        .expect("a string takes everything");
    }
    for (user_id, balance) in &shop.wallets {
        write!(
            sql,
            "insert into wallet (user_id, balance) values ({user_id}, {balance})
             on conflict (user_id) do update set balance = excluded.balance;"
        )
        .expect("a string takes everything");
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
