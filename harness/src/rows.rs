//! A quick way to the rows, on a connection of its own, for whoever runs program after program.
//!
//! Putting back and reading take one round trip each. Rows are put back where they can be by UPDATE
//! and DELETE, and sequences to where they stood before the first call, so that the same schedule
//! makes the same ids.

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

use crate::baseline::Baseline;
use crate::bounded;
use crate::environment::EnvironmentError;

/// The connection, and what is put back on it.
#[derive(Debug)]
pub struct Rows {
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

    /// What is put back.
    pub(crate) fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    /// Remembers anew what is to be put back, if the target has made tables meanwhile.
    pub(crate) async fn renew(&mut self) -> Result<(), EnvironmentError> {
        let renewed = self.baseline.renew(&mut self.connection).await;
        self.explained(renewed).await
    }

    /// Clears away what resetting many times leaves behind.
    pub(crate) async fn vacuum(&mut self) -> Result<(), EnvironmentError> {
        let tables: Vec<_> = self.baseline.all_tables().collect();
        match tables.is_empty() {
            true => Ok(()),
            false => self.execute(format!("vacuum {}", tables.join(", "))).await,
        }
    }

    /// What `read` finds on the connection.
    pub(crate) async fn read<T>(
        &mut self,
        read: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, EnvironmentError> {
        let rows = read(&mut self.connection).await;
        self.explained(rows).await
    }

    pub(crate) async fn close(self) {
        // There is nothing to lose on it.
        let _ = self.connection.close().await;
    }

    /// Runs statements without parameters.
    pub(crate) async fn execute(&mut self, sql: String) -> Result<(), EnvironmentError> {
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
