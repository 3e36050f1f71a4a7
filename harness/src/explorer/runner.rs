//! Whoever can run a program under a schedule.

use rowlock_shop::program::Program;

use super::run::Run;
use super::strategy::Chooser;
use crate::environment::EnvironmentError;

/// Runs programs, one at a time, each on fresh rows.
///
/// A choice that the program does not offer ends control: the rest of the run is let go, and
/// its execution says so.
pub trait Runner {
    /// Puts the program's rows there, sends its requests, lets `chooser` choose until all are
    /// answered, and judges what came of it.
    ///
    /// # Errors
    /// What keeps any run from being made: a failure of the environment, never the target's.
    fn run(
        &mut self,
        program: &Program,
        chooser: &mut dyn Chooser,
    ) -> impl Future<Output = Result<Run, EnvironmentError>>;
}
