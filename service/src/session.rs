//! A pooled connection inside a transaction, and what becomes of it.
//!
//! Only a connection that has cleanly ended its transaction goes back to the pool.
//! However else a session ends (an error, a panic, a deadline, a dropped future) its connection
//! is closed, the server rolls back, and the pool opens another. sqlx's own `begin()` cannot
//! promise that: dropped during BEGIN's round trip, it returns a connection that is inside a
//! transaction.
//!
//! BEGIN takes the first statement along, and the last takes COMMIT along, each in one simple
//! query and so in one round trip. Such a text bears its values itself.
//!
//! It knows nothing of purchases and never retries a statement.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgDatabaseError, PgPool, PgRow, PgSeverity, Postgres};
use sqlx::query::QueryAs;
use sqlx::{AssertSqlSafe, Executor, FromRow, raw_sql};
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
    /// The server refused the statement that went along, and is well.
    #[error(transparent)]
    Statement(sqlx::Error),
}

/// Why a transaction did not end in a COMMIT that is known of.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitError {
    /// The server refused the last statement, or the COMMIT: nothing happened.
    #[error(transparent)]
    RolledBack(sqlx::Error),
    /// The connection broke: it may or may not have happened.
    #[error("no answer to COMMIT")]
    Unknown(#[source] sqlx::Error),
}

impl Session {
    /// Begins a READ COMMITTED transaction on a pooled connection with its first statement,
    /// `first`, and takes its rows.
    ///
    /// A pooled connection may have died since its last use (the server was restarted, the
    /// session terminated). BEGIN is where that shows. A transaction that got no further than
    /// `first`, which must change nothing, has had no effect, so the next connection is tried:
    /// after as many failures as the pool has places, all dead ones are gone.
    pub(crate) async fn begin<T>(
        pool: &PgPool,
        patience: Duration,
        first: &str,
    ) -> Result<(Self, Vec<T>), BeginError>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let mut failures = 0;
        loop {
            let connection = pool.acquire().await.map_err(BeginError::Acquire)?;
            let mut session = Self {
                connection,
                state: State::Failed,
            };
            let begin = format!("begin isolation level read committed; {first}");
            match timeout(patience, session.raw(begin)).await {
                Ok(Ok(rows)) => {
                    session.state = State::Open;
                    return Ok((session, rows));
                }
                Ok(Err(error)) if is_refusal(&error) => {
                    // One that does not end in time is dropped, and its connection closed.
                    timeout(patience, session.rollback()).await.ok();
                    return Err(BeginError::Statement(error));
                }
                Ok(Err(error)) if failures >= pool.options().get_max_connections() => {
                    return Err(BeginError::Begin(error));
                }
                Ok(Err(_)) => failures += 1,
                Err(_) => return Err(BeginError::Silent),
            }
        }
    }

    /// Runs one statement, one round trip, and takes its rows.
    pub(crate) async fn rows<'q, T>(
        &mut self,
        query: QueryAs<'q, Postgres, T, PgArguments>,
    ) -> sqlx::Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        // Failed until it has succeeded, so that a dropped statement counts as a failed one.
        let before = std::mem::replace(&mut self.state, State::Failed);
        let rows = query.fetch_all(&mut *self.connection).await?;
        self.state = before;
        Ok(rows)
    }

    /// Commits with the last statement, `last`, and takes its rows.
    ///
    /// The server skips the COMMIT if `last` fails. After any statement that failed before, it
    /// would answer it with the tag ROLLBACK and no error, and sqlx shows no tags; then it is not
    /// sent, and the session rolls back.
    pub(crate) async fn commit<T>(mut self, last: &str) -> Result<Vec<T>, CommitError>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        if self.state != State::Open {
            self.rollback().await.ok();
            let error = "commit of a failed transaction".to_owned();
            return Err(CommitError::RolledBack(sqlx::Error::Protocol(error)));
        }
        self.state = State::Failed;
        match self.raw(format!("{last}; commit")).await {
            Ok(rows) => {
                self.state = State::Ended;
                Ok(rows)
            }
            Err(error) if is_refusal(&error) => {
                self.rollback().await.ok();
                Err(CommitError::RolledBack(error))
            }
            Err(error) => Err(CommitError::Unknown(error)),
        }
    }

    /// Rolls back. After an error the connection is closed, which rolls back as well.
    pub(crate) async fn rollback(mut self) -> sqlx::Result<()> {
        self.connection.execute("rollback").await?;
        self.state = State::Ended;
        Ok(())
    }

    /// Runs the statements of one simple query to the last, and takes the rows of all.
    async fn raw<T>(&mut self, statements: String) -> sqlx::Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let rows = raw_sql(AssertSqlSafe(statements)).fetch_all(&mut *self.connection);
        rows.await?.iter().map(T::from_row).collect()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.state != State::Ended {
            self.connection.close_on_drop();
        }
    }
}

/// Whether the server refused a statement and lives on with the connection; the transaction of a
/// connection that it ends (FATAL) may have got any distance.
fn is_refusal(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        .is_some_and(|error| error.severity() == PgSeverity::Error)
}
