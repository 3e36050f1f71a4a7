//! What the process ends with: one number for each thing that a script may do about it.
//!
//! A script may try a run again whose environment failed. Nothing else is worth that: a
//! violation stays one, and what was not proven needs more of a budget, not another attempt.

use std::process::ExitCode;

use rowlock_contract::ContractError;
use rowlock_core::verdict::Verdict;

use crate::environment::EnvironmentError;
use crate::report::known::KnownError;

/// Why a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Everything that was checked holds.
    Held,
    /// An invariant of the target is violated; a mutant survived, or a right service is accused.
    Violated,
    /// The command line is wrong, or a file that it names cannot be read. It is clap's number, too.
    Usage,
    /// The environment failed before anything was concluded: no PostgreSQL, a target that does not
    /// start, a disk that is full. The one that may be tried again.
    Environment,
    /// Nothing is violated, and something could not be checked: a budget ran out, control was lost,
    /// a fault did not take place.
    NotProven,
    /// A signal ended it, and nothing is concluded: 128 and SIGINT, as shells count it.
    Interrupted,
}

impl Exit {
    /// A contract that is wrong is a file of the user's; all other errors are the environment's.
    pub(super) fn of_error(error: &anyhow::Error) -> Exit {
        let is_contract = error.chain().any(|cause| {
            let is_read = cause.is::<ContractError>() || cause.is::<KnownError>();
            is_read || matches!(cause.downcast_ref(), Some(EnvironmentError::Contract(_)))
        });
        match is_contract {
            true => Exit::Usage,
            false => Exit::Environment,
        }
    }

    fn code(self) -> u8 {
        match self {
            Exit::Held => 0,
            Exit::Violated => 1,
            Exit::Usage => 2,
            Exit::Environment => 3,
            Exit::NotProven => 4,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Valid => Exit::Held,
            Verdict::Inconclusive => Exit::NotProven,
            Verdict::Violation => Exit::Violated,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// The exit code that says `verdict`.
pub(super) fn of(verdict: Verdict) -> ExitCode {
    Exit::from(verdict).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Exit; 6] = [
        Exit::Held,
        Exit::Violated,
        Exit::Usage,
        Exit::Environment,
        Exit::NotProven,
        Exit::Interrupted,
    ];

    #[test]
    fn each_reason_has_a_number_of_its_own() {
        assert_eq!(ALL.map(Exit::code), [0, 1, 2, 3, 4, 130]);
    }

    #[test]
    fn what_was_not_proven_is_no_environment_that_failed() {
        assert_eq!(Exit::from(Verdict::Inconclusive), Exit::NotProven);
        assert_ne!(Exit::NotProven.code(), Exit::Environment.code());
    }
}
