//! What the tests share: a database, a running service on it, and a client.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared by test binaries, each of which uses a part"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

pub mod breaker;
pub mod client;
pub mod database;
pub mod interface;
pub mod model;
pub mod process;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use purchase_service::{Config, Service};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool, Row};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use client::Answer;

/// How long a condition may take to come true before the test fails.
pub const BOUND: Duration = Duration::from_secs(20);

/// A service on a database of its own, with a way in for the test.
pub struct Shop {
    pub address: SocketAddr,
    pub db: PgPool,
    pub config: Config,
    stop: Option<oneshot::Sender<()>>,
    served: Option<JoinHandle<()>>,
}

impl Shop {
    /// An empty shop with the default configuration.
    pub async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub async fn open_with(configure: impl FnOnce(&mut Config)) -> Self {
        Self::open_on(database::fresh_database().await, configure).await
    }

    /// A shop on this database.
    pub async fn open_on(
        database: database::Database,
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config {
            database_url: database.url,
            port: 0,
            ..Config::default()
        };
        configure(&mut config);
        let service = Service::start(&config).await.unwrap();
        let address = service.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(service.serve(async { drop(stopped.await) }));
        Self {
            address,
            db: database.pool,
            config,
            stop: Some(stop),
            served: Some(served),
        }
    }

    /// A shop that another process serves, with the default configuration, on this database.
    pub fn served_elsewhere(address: SocketAddr, db: PgPool) -> Self {
        Self {
            address,
            db,
            config: Config::default(),
            stop: None,
            served: None,
        }
    }

    /// Takes the database away: nobody may connect to it, and who is connected is thrown out.
    pub async fn close(&self) {
        // The way in that is there already: there will be no other.
        let mut connection = self.db.acquire().await.unwrap();
        for sql in [
            "update pg_database set datallowconn = false where datname = current_database()",
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity
              where datname = current_database() and application_name = 'purchase-service'",
        ] {
            sqlx::raw_sql(sql).execute(&mut *connection).await.unwrap();
        }
    }

    /// Gives the stop signal and returns what ends when the service has ended.
    pub fn stop(&mut self) -> JoinHandle<()> {
        self.stop.take().unwrap().send(()).unwrap();
        self.served.take().unwrap()
    }

    pub async fn item(&self, id: i64, price: i64, stock: i64) {
        let insert =
            sqlx::query("insert into item (id, name, price, stock) values ($1, 'it', $2, $3)");
        insert
            .bind(id)
            .bind(price)
            .bind(stock)
            .execute(&self.db)
            .await
            .unwrap();
    }

    pub async fn wallet(&self, user_id: i64, balance: i64) {
        let insert = sqlx::query("insert into wallet (user_id, balance) values ($1, $2)");
        insert
            .bind(user_id)
            .bind(balance)
            .execute(&self.db)
            .await
            .unwrap();
    }

    /// Runs SQL that the service would not.
    pub async fn sql(&self, sql: impl Into<String>) {
        sqlx::raw_sql(AssertSqlSafe(sql.into()))
            .execute(&self.db)
            .await
            .unwrap();
    }

    /// The first column of the first row.
    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query(sql).fetch_one(&self.db).await.unwrap().get(0)
    }

    /// The same, of a text that bears values.
    pub async fn count(&self, sql: String) -> i64 {
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&self.db).await;
        row.unwrap().get(0)
    }

    pub async fn buy(&self, user_id: i64, item_id: i64) -> Answer {
        client::buy(self.address, user_id, item_id, None).await
    }

    pub async fn buy_with_key(&self, user_id: i64, item_id: i64, key: &str) -> Answer {
        client::buy(self.address, user_id, item_id, Some(key)).await
    }

    /// Every row, to see whether anything has changed.
    pub async fn rows(&self) -> Value {
        let sql = "select json_build_object(
            'items',     (select json_agg(i order by id) from item i),
            'wallets',   (select json_agg(w order by user_id) from wallet w),
            'purchases', (select json_agg(p order by id) from purchase p))::text";
        let rows: String = sqlx::query(sql).fetch_one(&self.db).await.unwrap().get(0);
        serde_json::from_str(&rows).unwrap()
    }

    /// Sessions of the service in this database in the given state, `true` for all.
    pub async fn sessions(&self, condition: &str) -> i64 {
        let sql = format!(
            "select count(*) from pg_stat_activity where datname = current_database()
                and application_name = 'purchase-service' and ({condition})"
        );
        sqlx::query(AssertSqlSafe(sql))
            .fetch_one(&self.db)
            .await
            .unwrap()
            .get(0)
    }

    /// Waits until exactly `count` sessions of the service wait for a lock.
    pub async fn until_blocked(&self, count: i64) {
        self.until(&format!("{count} sessions wait for a lock"), async |shop| {
            shop.sessions("wait_event_type = 'Lock'").await == count
        })
        .await;
    }

    /// Waits until the service has exactly `count` orders without an answer.
    pub async fn until_waiting(&self, count: usize) {
        let gauge = format!("shop_orders_waiting {count}");
        self.until(&gauge, async |shop| {
            let metrics = client::get(shop.address, "/metrics").await;
            let mut lines = metrics.body.as_str().unwrap().lines();
            lines.any(|line| line == gauge)
        })
        .await;
    }

    pub async fn until(&self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        let deadline = Instant::now() + BOUND;
        while !condition(self).await {
            assert!(Instant::now() < deadline, "not within {BOUND:?}: {what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until no session is in a transaction and no lock is held, and asserts that every
    /// purchase is whole: stock and money that are gone are in a purchase row.
    ///
    /// The sums are of one snapshot, so they hold at any moment, also if a purchase goes on.
    pub async fn assert_sound(&self, stock_before: i64, money_before: i64) {
        self.until(
            "no session of the service is in a transaction",
            async |shop| shop.sessions("state <> 'idle'").await == 0,
        )
        .await;
        let locks = "select count(*) from pg_locks l join pg_stat_activity a using (pid)
                      where a.datname = current_database() and a.pid <> pg_backend_pid()";
        self.until("no lock is held", async |shop| {
            shop.number(locks).await == 0
        })
        .await;
        let sums = "select (select sum(stock)::bigint from item),
                           (select sum(balance)::bigint from wallet),
                           (select count(*) from purchase),
                           (select coalesce(sum(price), 0)::bigint from purchase)";
        let sums = sqlx::query_as(sums).fetch_one(&self.db).await.unwrap();
        let (stock, money, purchases, spent): (i64, i64, i64, i64) = sums;
        assert_eq!(
            stock_before - stock,
            purchases,
            "stock that is gone is sold"
        );
        assert_eq!(money_before - money, spent, "money that is gone is spent");
    }

    /// Asserts that purchases of as many items as the pool has places can be inside the database
    /// at a time. They find nothing in stock, so that nothing is different afterwards.
    pub async fn assert_pool_is_full_size(&self, user_id: i64) {
        const FIRST: i64 = 1_000_000;
        let size = i64::from(self.config.pool_size);
        let items = FIRST..FIRST + size + 2;
        for id in items.clone() {
            self.item(id, 1, 0).await;
        }
        let lock = self.lock("select 1 from item where id >= $1 for update", FIRST);
        let lock = lock.await;
        let address = self.address;
        let buyers: Vec<_> = items
            .map(|id| tokio::spawn(client::buy(address, user_id, id, None)))
            .collect();
        self.until_blocked(size).await;
        lock.rollback().await.unwrap();
        for buyer in buyers {
            let answer = buyer.await.unwrap();
            assert_eq!(answer.code(), "out_of_stock", "{answer:?}");
        }
        self.sql(format!("delete from item where id >= {FIRST}"))
            .await;
    }

    /// Holds an item's row, as somebody else.
    pub async fn lock_item(&self, id: i64) -> sqlx::Transaction<'static, sqlx::Postgres> {
        self.lock("select 1 from item where id = $1 for update", id)
            .await
    }

    /// Holds a wallet's row, as somebody else.
    pub async fn lock_wallet(&self, user_id: i64) -> sqlx::Transaction<'static, sqlx::Postgres> {
        self.lock(
            "select 1 from wallet where user_id = $1 for update",
            user_id,
        )
        .await
    }

    async fn lock(&self, sql: &'static str, id: i64) -> sqlx::Transaction<'static, sqlx::Postgres> {
        let mut transaction = self.db.begin().await.unwrap();
        sqlx::query(sql)
            .bind(id)
            .fetch_all(&mut *transaction)
            .await
            .unwrap();
        transaction
    }
}

pub fn order(user_id: i64, item_id: i64) -> String {
    json!({"user_id": user_id, "item_id": item_id}).to_string()
}
