//! The shop's rows as the inspector of a trial's database puts them there and reads them.

use rowlock_shop::rows::{FinalRows, Purchase, Shop};
use sqlx::postgres::PgConnectOptions;

use super::tables::{read_rows, reset_sql};
use crate::database::Inspector;
use crate::environment::EnvironmentError;

impl Inspector {
    /// Connects to a database and makes the shop's tables there.
    ///
    /// # Errors
    /// No connection, or a migration that failed.
    pub async fn open_shop(options: PgConnectOptions) -> Result<Inspector, sqlx::Error> {
        let inspector = Inspector::open(options).await?;
        purchase_service::MIGRATOR.run(inspector.pool()).await?;
        Ok(inspector)
    }

    /// Inserts the rows of `shop`.
    ///
    /// # Errors
    /// As [`Inspector::execute`].
    pub async fn seed(&self, shop: &Shop) -> Result<(), EnvironmentError> {
        self.explained(self.insert(shop).await).await
    }

    async fn insert(&self, shop: &Shop) -> Result<(), sqlx::Error> {
        let ids: Vec<_> = shop.items.keys().copied().collect();
        let prices: Vec<_> = shop.items.values().map(|item| item.price).collect();
        let stocks: Vec<_> = shop.items.values().map(|item| item.stock).collect();
        sqlx::query(
            "insert into item (id, name, price, stock)
             select id, 'item ' || id, price, stock
             from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as t (id, price, stock)",
        )
        .bind(ids)
        .bind(prices)
        .bind(stocks)
        .execute(self.pool())
        .await?;
        let user_ids: Vec<_> = shop.wallets.keys().copied().collect();
        let balances: Vec<_> = shop.wallets.values().copied().collect();
        sqlx::query(
            "insert into wallet (user_id, balance)
             select * from unnest($1::bigint[], $2::bigint[])",
        )
        .bind(user_ids)
        .bind(balances)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Makes the shop's rows those of `shop`, without any purchase, and the target's own tables
    /// and sequences what they were before any.
    ///
    /// # Errors
    /// As [`Inspector::execute`].
    pub async fn reset(&self, shop: &Shop) -> Result<(), EnvironmentError> {
        self.execute(reset_sql(shop, self.baseline())).await
    }

    /// Reads the shop's rows as they are at one moment; the purchases only where `with_purchases`.
    ///
    /// # Errors
    /// As [`Inspector::execute`].
    pub async fn read(&self, with_purchases: bool) -> Result<FinalRows, EnvironmentError> {
        self.explained(read_rows(self.pool(), with_purchases).await)
            .await
    }

    /// All rows of `purchase`, in the order of their ids.
    ///
    /// # Errors
    /// As [`Inspector::execute`].
    pub async fn purchases(&self) -> Result<Vec<Purchase>, EnvironmentError> {
        let rows = self.read(true).await?;
        Ok(rows.purchases.unwrap_or_default())
    }
}
