//! Every step of a request, broken in every way, one at a time.
//!
//! The steps come from a trace of the target itself, so nothing here knows its SQL. A
//! [`Case`] names one fault at one step of one story; [`campaign`] runs them all and
//! [`matrix`] shows what came of it.
//!
//! ```text
//! campaign    which cases there are, and who runs them
//!   case      one fault at one step of one story, by name
//!   stories   what a campaign needs of whoever is judged
//!   place     a target, and a proxy before its database, for one case after another
//!   baseline  what the target does when nothing is broken
//!     pool      how many connections it has, and whether it has them still
//!   raisable  which error PostgreSQL can raise at which step
//!     statement what a step's statements are for
//!   play      one case, from its rows to its verdict, stage by stage
//!     picker    which step of the target is the chosen one
//!     line      a client's connection that is cut at a chosen moment
//!     evidence  what the trace says of it
//! matrix      step by fault, for people
//! ```

mod baseline;
pub mod campaign;
mod case;
mod evidence;
mod line;
pub mod matrix;
mod picker;
mod place;
pub mod play;
mod pool;
mod raisable;
mod statement;
mod steps;
pub mod stories;

use std::fmt;

pub use case::{Case, StoryName};
use rowlock_postgres::StopMode;

/// One way to break a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The server itself fails the step with this SQLSTATE.
    Error(SqlState),
    /// Both connections are closed, and the step never reaches the server.
    DropBefore,
    /// The step is executed, and its reply is lost.
    DropAfter,
    /// The administrator terminates the backend while the step is still on its way (57P01).
    TerminateIdle,
    /// The administrator terminates the backend while it executes (57P01).
    TerminateRunning,
    /// The step is held past the service's timeouts, then let go.
    Stall,
    /// The HTTP client hangs up while the step's reply is on its way.
    ClientAbort,
    /// The server is killed before the step reaches it, and started again.
    CrashBefore(Crash),
    /// The server is killed after it has executed the step, and started again.
    CrashAfter(Crash),
    /// The administrator terminates a connection that lies idle in the target's pool.
    TerminateConnection,
}

/// An SQLSTATE that a real server fails statements with (PostgreSQL, appendix A).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SqlState {
    /// 40001: the transaction fits no serial order with others.
    SerializationFailure,
    /// 40P01: it waited in a circle.
    DeadlockDetected,
    /// 55P03: it waited too long for a lock, or would not wait.
    LockNotAvailable,
    /// 57014: somebody cancelled it, or a time-out did.
    QueryCanceled,
    /// 23514: a row violates a CHECK.
    CheckViolation,
    /// 53300: the server takes no further connection.
    TooManyConnections,
    /// XX000: a bug of the server's, or damaged data.
    InternalError,
}

impl SqlState {
    /// Its five characters.
    pub fn code(self) -> &'static str {
        match self {
            SqlState::SerializationFailure => "40001",
            SqlState::DeadlockDetected => "40P01",
            SqlState::LockNotAvailable => "55P03",
            SqlState::QueryCanceled => "57014",
            SqlState::CheckViolation => "23514",
            SqlState::TooManyConnections => "53300",
            SqlState::InternalError => "XX000",
        }
    }
}

/// How a server dies without warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Crash {
    /// `pg_ctl stop -m immediate`: SIGQUIT.
    Immediate,
    /// SIGKILL, to all its processes.
    Kill,
}

impl Crash {
    fn stop_mode(self) -> StopMode {
        match self {
            Crash::Immediate => StopMode::Immediate,
            Crash::Kill => StopMode::Kill,
        }
    }
}

/// Every SQLSTATE that a step can be failed with.
pub const SQL_STATES: [SqlState; 7] = [
    SqlState::SerializationFailure,
    SqlState::DeadlockDetected,
    SqlState::LockNotAvailable,
    SqlState::QueryCanceled,
    SqlState::CheckViolation,
    SqlState::TooManyConnections,
    SqlState::InternalError,
];

/// Every fault at a step that leaves the server alive.
pub fn gentle_faults() -> Vec<Fault> {
    use Fault::{ClientAbort, DropAfter, DropBefore, Stall, TerminateIdle, TerminateRunning};
    let mut faults: Vec<_> = SQL_STATES.into_iter().map(Fault::Error).collect();
    faults.extend([
        DropBefore,
        DropAfter,
        TerminateIdle,
        TerminateRunning,
        Stall,
        ClientAbort,
    ]);
    faults
}

/// Every fault that kills the server.
pub fn crashes() -> Vec<Fault> {
    [Crash::Immediate, Crash::Kill]
        .into_iter()
        .flat_map(|crash| [Fault::CrashBefore(crash), Fault::CrashAfter(crash)])
        .collect()
}

impl Fault {
    /// The name of the fault's column: all SQLSTATEs share one, and both ways to crash.
    pub fn column(self) -> &'static str {
        match self {
            Fault::Error(_) => "error",
            Fault::DropBefore => "drop-before",
            Fault::DropAfter => "drop-after",
            Fault::TerminateIdle => "terminate-idle",
            Fault::TerminateRunning => "terminate-running",
            Fault::Stall => "stall",
            Fault::ClientAbort => "client-abort",
            Fault::CrashBefore(_) => "crash-before",
            Fault::CrashAfter(_) => "crash-after",
            Fault::TerminateConnection => "terminate-connection",
        }
    }

    /// Whether the server dies of it.
    pub fn is_crash(self) -> bool {
        matches!(self, Fault::CrashBefore(_) | Fault::CrashAfter(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.column())?;
        match self {
            Fault::Error(state) => write!(f, "-{}", state.code()),
            Fault::CrashBefore(crash) | Fault::CrashAfter(crash) => match crash {
                Crash::Immediate => f.write_str("-immediate"),
                Crash::Kill => f.write_str("-kill"),
            },
            _ => Ok(()),
        }
    }
}
