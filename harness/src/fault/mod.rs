//! Every step of a request, broken in every way, one at a time.
//!
//! The steps come from a trace of the target itself, so nothing here knows its SQL. A
//! [`Case`] names one fault at one step of one [`Story`]; [`campaign`] runs them all and
//! [`matrix`] shows what came of it.
//!
//! ```text
//! campaign    which cases there are, and who runs them
//!   shop      the rows and calls of each story: all that is the shop's
//!   baseline  what the target does when nothing is broken
//!     pool      how many connections it has, and whether it has them still
//!   raisable  which error PostgreSQL can raise at which step
//!     statement what a step's statements are for
//!   play      one case, from its rows to its verdict, stage by stage
//!     picker    which step of the target is the chosen one
//!     buyer     an HTTP client that can hang up at a chosen moment
//!     evidence  what the trace says of it
//! matrix      step by fault, for people
//! ```

mod baseline;
mod buyer;
pub mod campaign;
mod evidence;
pub mod matrix;
mod picker;
pub mod play;
mod pool;
mod raisable;
mod shop;
mod statement;
mod steps;

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

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

/// Every fault that leaves the server alive.
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

/// What the chosen request does when nothing is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Story {
    /// It buys.
    Purchase,
    /// It is refused, since the item is sold out.
    Refusal,
    /// It repeats the Idempotency-Key of a purchase that was acknowledged.
    Repeat,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Story::Purchase => "purchase",
            Story::Refusal => "refusal",
            Story::Repeat => "repeat",
        })
    }
}

/// One fault at one step of one story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Case {
    /// What the request does.
    pub story: Story,
    /// Whether a second buyer of the same item comes while the step is under way.
    pub rival: bool,
    /// Which of the request's steps breaks, from 1.
    pub step: usize,
    /// How.
    pub fault: Fault,
}

impl fmt::Display for Case {
    /// As `--case` takes it: `purchase+rival.3.drop-after`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rival = if self.rival { "+rival" } else { "" };
        write!(f, "{}{rival}.{}.{}", self.story, self.step, self.fault)
    }
}

impl Serialize for Case {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |what: &str| {
            format!("case {text:?}: {what}; expected for example purchase+rival.3.drop-after")
        };
        let [story, step, fault] = text.splitn(3, '.').collect::<Vec<_>>()[..] else {
            return Err(wrong("not of the form STORY.STEP.FAULT"));
        };
        let (story, rival) = match story.strip_suffix("+rival") {
            Some(story) => (story, true),
            None => (story, false),
        };
        let stories = [Story::Purchase, Story::Refusal, Story::Repeat];
        let story = stories.into_iter().find(|known| known.to_string() == story);
        let mut faults = gentle_faults().into_iter().chain(crashes());
        let step = step.parse().ok().filter(|step| *step > 0);
        Ok(Case {
            story: story.ok_or_else(|| wrong("the story is not purchase, refusal or repeat"))?,
            rival,
            step: step.ok_or_else(|| wrong("the step is no number from 1"))?,
            fault: faults
                .find(|known| known.to_string() == fault)
                .ok_or_else(|| wrong("there is no such fault"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_reads_back_from_its_name() {
        for fault in gentle_faults().into_iter().chain(crashes()) {
            for story in [Story::Purchase, Story::Refusal, Story::Repeat] {
                for rival in [false, true] {
                    let case = Case {
                        story,
                        rival,
                        step: 3,
                        fault,
                    };
                    assert_eq!(case.to_string().parse(), Ok(case));
                }
            }
        }
    }

    #[test]
    fn a_case_that_does_not_exist_is_named() {
        let error = "purchase.2.drop-sideways".parse::<Case>().unwrap_err();
        assert!(error.contains("purchase.2.drop-sideways"), "{error}");
        assert!(error.contains("no such fault"), "{error}");
        let error = "purchase.0.stall".parse::<Case>().unwrap_err();
        assert!(error.contains("no number from 1"), "{error}");
    }
}
