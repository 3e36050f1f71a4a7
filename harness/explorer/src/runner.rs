//! Whoever can run a program under a schedule.

use rowlock_core::program::Program;

use super::run::Run;
use super::strategy::Chooser;

/// Runs programs, one at a time, each on fresh rows.
///
/// A choice that the program does not offer ends control: the rest of the run is let go, and
/// its execution says so.
pub trait Runner {
    /// What it runs.
    type Program: Program;

    /// What keeps it from running anything: never a fault of the target's.
    type Error;

    /// Puts the program's rows there, makes its calls, lets `chooser` choose until all are
    /// answered, and judges what came of it.
    ///
    /// # Errors
    /// [`Self::Error`].
    fn run(
        &mut self,
        program: &Self::Program,
        chooser: &mut dyn Chooser,
    ) -> impl Future<Output = Result<Run<Self::Program>, Self::Error>>;
}
