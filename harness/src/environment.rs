//! What keeps a run from concluding.
//!
//! A broken environment is an error, and a broken invariant is a value: they never mix.

use std::time::Duration;

use rowlock_explorer::testbed::NoWorker;

use crate::target::TargetError;

/// What kept a run from concluding: never a verdict on the target.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A database could not be made, restarted or dropped.
    #[error(transparent)]
    Postgres(#[from] rowlock_postgres::ServerError),
    /// The harness's own statement failed.
    #[error("the harness's own statement failed")]
    Sql(#[from] sqlx::Error),
    /// A lock that the target left kept the harness's own statement waiting.
    #[error(
        "the target has answered and still holds a lock: a statement of the harness's own waited \
         {} s for it. Open: {}. A target must end its transaction (COMMIT or ROLLBACK) before it \
         answers, also where it refuses", waited.as_secs(), holders_in_words(holders)
    )]
    Locked {
        /// For how long.
        waited: Duration,
        /// The target's sessions that were inside a transaction, each with its last statement.
        holders: Vec<String>,
    },
    /// The target's own tables refer to rows that must be put back.
    #[error(
        "the rows cannot be put back: tables of the target's own refer to them, and this role may \
         not keep foreign keys and triggers out of the way; it must be a superuser or, since \
         PostgreSQL 15, be granted SET on parameter session_replication_role"
    )]
    NotPutBack(#[source] sqlx::Error),
    /// The contract says what is not so.
    #[error("{0}")]
    Contract(String),
    /// The target did not start.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The proxy before the database found no port.
    #[error("no free port for the proxy")]
    Proxy(#[source] std::io::Error),
    /// A worker of the explorer could not be started.
    #[error(transparent)]
    Worker(#[from] NoWorker),
    /// The program cannot be asked of this target.
    #[error("{0}")]
    NotAsked(String),
    /// A client could not connect.
    #[error("cannot connect client {index} of {count} to the target")]
    Connect {
        /// Which of the clients, from 0.
        index: usize,
        /// How many there are.
        count: usize,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The target does not do what it is for, although nothing is in its way.
    #[error("{0}")]
    DoesNotServe(String),
}

fn holders_in_words(holders: &[String]) -> String {
    match holders {
        [] => "no transaction any more".into(),
        holders => holders.join("; "),
    }
}

impl EnvironmentError {
    /// The error and all that it comes from, on one line.
    pub fn in_full(&self) -> String {
        rowlock_core::error::in_full(self)
    }
}
