//! Where programs run: made once, used for many runs, and made anew where one left something.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::conductor::Spent;
use super::runner::Runner;

/// A place of one worker's own in which programs run.
pub trait Testbed:
    Runner<Error: Error + From<NoWorker> + Send + 'static> + Sized + 'static
{
    /// What it is made of; the same for every worker.
    type Setup: Clone + Send + 'static;

    /// Makes one.
    ///
    /// # Errors
    /// What keeps it from being made.
    fn open(setup: &Self::Setup) -> impl Future<Output = Result<Self, Self::Error>>;

    /// It, or another one in its place, with everything there that `program` needs to begin with:
    /// connections that are open, statements that are prepared.
    ///
    /// # Errors
    /// What keeps the program from being run.
    fn ready_for(
        self,
        program: &Self::Program,
        setup: &Self::Setup,
    ) -> impl Future<Output = Result<Self, Self::Error>>;

    /// Where its time went so far.
    fn spent(&self) -> Spendings;

    /// Takes everything away.
    ///
    /// # Errors
    /// What could not be taken away.
    fn close(self) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Where a testbed's time went, the conductor's apart.
pub type Spendings = (TestbedSpent, Spent);

/// Where a testbed's time went, apart from the conductor's.
#[derive(Debug, Clone, Copy, Default)]
pub struct TestbedSpent {
    /// Putting rows back.
    pub reset: Duration,
    /// Reading rows, and judging.
    pub judge: Duration,
    /// Runs made.
    pub runs: u64,
    /// Runs that were made again because PostgreSQL served a later waiter first.
    pub repeats: u64,
}

impl TestbedSpent {
    pub(super) fn add(&mut self, other: TestbedSpent) {
        self.reset += other.reset;
        self.judge += other.judge;
        self.runs += other.runs;
        self.repeats += other.repeats;
    }
}

/// A worker's thread is not there.
#[derive(Debug, thiserror::Error)]
pub enum NoWorker {
    /// It could not be started.
    #[error("cannot start a worker")]
    NotStarted(#[from] io::Error),
    /// It panicked.
    #[error(
        "a worker panicked; what it said is on standard error. This is a mistake of the harness"
    )]
    Panicked,
}
