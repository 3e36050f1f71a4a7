//! A pooled connection inside a transaction, and what becomes of it.
//!
//! Only a connection that has cleanly ended its transaction goes back to the pool.
//! However else a session ends (an error, a panic, a deadline, a dropped future) its connection
//! is closed, the server rolls back, and the pool opens another. sqlx's own `begin()` cannot
//! promise that: dropped during BEGIN's round trip, it returns a connection that is inside a
//! transaction.
//!
//! It knows nothing of purchases and never retries a statement.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgPool, PgRow, Postgres};
use sqlx::query::QueryAs;
use sqlx::{Executor, FromRow};
use tokio::time::timeout;

/// An open transaction.
pub(crate) struct Session {
    connection: PoolConnection<Postgres>,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Every statement so far has succeeded.
    Open,
    /// A statement has failed: the transaction can only be rolled back.
    Failed,
    /// Cleanly over.
    Ended,
}

/// Why no transaction could be begun; nothing has happened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error("no connection")]
    Acquire(#[source] sqlx::Error),
    #[error("every connection failed at BEGIN")]
    Begin(#[source] sqlx::Error),
    #[error("no answer to BEGIN")]
    Silent,
}

impl Session {
    /// Begins a READ COMMITTED transaction on a pooled connection.
    ///
    /// A pooled connection may have died since its last use (the server was restarted, the
    /// session terminated). BEGIN is where that shows, and a BEGIN that failed has had no effect,
    /// so the next connection is tried: after as many failures as the pool has places, all dead
    /// ones are gone.
    pub(crate) async fn begin(pool: &PgPool, patience: Duration) -> Result<Self, BeginError> {
        let mut failures = 0;
        loop {
            let connection = pool.acquire().await.map_err(BeginError::Acquire)?;
            let mut session = Self {
                connection,
                state: State::Failed,
            };
            let begin = session
                .connection
                .execute("begin isolation level read committed");
            match timeout(patience, begin).await {
                Ok(Ok(_)) => {
                    session.state = State::Open;
                    return Ok(session);
                }
                Ok(Err(error)) if failures >= pool.options().get_max_connections() => {
                    return Err(BeginError::Begin(error));
                }
                Ok(Err(_)) => failures += 1,
                Err(_) => return Err(BeginError::Silent),
            }
        }
    }

    /// Runs one statement, one round trip, and takes its first row.
    pub(crate) async fn row<'q, T>(
        &mut self,
        query: QueryAs<'q, Postgres, T, PgArguments>,
    ) -> sqlx::Result<Option<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        // Failed until it has succeeded, so that a dropped statement counts as a failed one.
        let before = std::mem::replace(&mut self.state, State::Failed);
        let row = query.fetch_optional(&mut *self.connection).await?;
        self.state = before;
        Ok(row)
    }

    /// Commits.
    ///
    /// Postgres answers a COMMIT in a failed transaction with the tag ROLLBACK and no error, and
    /// sqlx shows no tags. So COMMIT is sent only if every statement has succeeded; a failed
    /// session rolls back instead.
    ///
    /// # Errors
    /// If the connection broke, the transaction may or may not be committed.
    pub(crate) async fn commit(mut self) -> sqlx::Result<()> {
        if self.state != State::Open {
            self.rollback().await?;
            return Err(sqlx::Error::Protocol(
                "commit of a failed transaction".to_owned(),
            ));
        }
        self.end("commit").await
    }

    /// Rolls back. After an error the connection is closed, which rolls back as well.
    pub(crate) async fn rollback(mut self) -> sqlx::Result<()> {
        self.end("rollback").await
    }

    async fn end(&mut self, statement: &'static str) -> sqlx::Result<()> {
        self.connection.execute(statement).await?;
        self.state = State::Ended;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.state != State::Ended {
            self.connection.close_on_drop();
        }
    }
}
