//! What can go wrong with a server, told so that the reader knows what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Provider;

/// Why no server could be had.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Every provider was passed over; each line says which and why.
    #[error(
        "no PostgreSQL can be had; tried\n{tried}\n\
         install PostgreSQL (Debian: apt install postgresql) or point PG_BIN at its programs, \
         start a Docker engine, or set DATABASE_URL and choose the url provider"
    )]
    NoneServes {
        /// One line for each provider.
        tried: String,
    },
    /// No directory holds both `initdb` and `postgres`.
    #[error(
        "no installed PostgreSQL has both initdb and postgres; looked in {tried}; \
         install it (Debian: apt install postgresql) or set PG_BIN to the directory of its programs"
    )]
    NotInstalled {
        /// The places, in the order they were looked through.
        tried: String,
    },
    /// PG_BIN names something else than a directory of PostgreSQL's programs.
    #[error("PG_BIN={} is unusable: {why}; set it to the directory of initdb and postgres", path.display())]
    PgBin {
        /// Its value.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Root may not run PostgreSQL, and nobody else is there who could.
    #[error(
        "PostgreSQL does not run as root, and there is no user postgres or nobody to run it as"
    )]
    NoAccount,
    /// The server's directory could not be made.
    #[error("no directory for the server: {0}")]
    Directory(#[source] io::Error),
    /// A program could not be run at all.
    #[error("cannot run {program}: {source}")]
    Program {
        /// Its path.
        program: String,
        /// The system's reason.
        source: io::Error,
    },
    /// `initdb` or `postgres` ended, or the server answered no query in time.
    #[error("{what}; the end of its log:\n{log}")]
    NotReady {
        /// What happened, and for how long it was waited for.
        what: String,
        /// The last lines of the server's log.
        log: String,
    },
    /// The container engine does not answer, or has no such image, or the container failed.
    #[error("{what}: {why}")]
    Container {
        /// What was asked of the engine.
        what: String,
        /// Its answer.
        why: String,
    },
    /// DATABASE_URL is missing, is no URL of a PostgreSQL, or its server does not answer.
    #[error(
        "{what}; set DATABASE_URL to a server whose user may create databases, \
             as in postgres://user:password@host:5432/postgres"
    )]
    Url {
        /// What is wrong with it.
        what: String,
    },
}

/// Why something asked of a running server did not come about.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The provider cannot do this.
    #[error("the {provider} provider cannot {action}; use local or container")]
    Unsupported {
        /// Which provider.
        provider: Provider,
        /// What was asked of it.
        action: &'static str,
    },
    /// The name is not one that every provider could take.
    #[error("database name {0:?} is not 1 to 40 lowercase letters, digits or underscores")]
    InvalidName(String),
    /// The server refused a statement, or could not be reached.
    #[error("cannot {what}: {source}")]
    Sql {
        /// What the statement was for.
        what: String,
        /// The server's or the connection's error.
        source: sqlx::Error,
    },
    /// The server did not end although it was asked to.
    #[error("the server still runs {} s after it was told to stop", .0.as_secs())]
    StillRuns(Duration),
    /// The server did not come back.
    #[error("the server did not start again: {0}")]
    NotStarted(#[source] Box<StartError>),
    /// A process could not be signalled or waited for, or a container not be ordered.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// The system's or the engine's reason.
        source: io::Error,
    },
}

impl ServerError {
    /// Whether a database of that name was there already (SQLSTATE 42P04).
    pub(super) fn is_duplicate_database(&self) -> bool {
        let ServerError::Sql {
            source: sqlx::Error::Database(error),
            ..
        } = self
        else {
            return false;
        };
        error.code().as_deref() == Some("42P04")
    }
}
