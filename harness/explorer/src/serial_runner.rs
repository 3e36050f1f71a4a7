//! One testbed for one run after another: for shrinking and for replay.
//!
//! The one idea: whoever asks for a run gets it on warm connections and under control from its
//! start; where the run before left something under way, that means another one.

use std::fmt;

use super::run::Run;
use super::runner::Runner;
use super::strategy::Chooser;
use super::testbed::Testbed;

/// Runs programs one at a time, on a testbed that is opened when it is needed.
pub struct SerialRunner<T: Testbed> {
    setup: T::Setup,
    testbed: Option<T>,
    /// The program for which it is ready.
    ready_for: Option<T::Program>,
}

impl<T: Testbed> SerialRunner<T> {
    /// Opens nothing yet.
    pub fn new(setup: T::Setup) -> Self {
        SerialRunner {
            setup,
            testbed: None,
            ready_for: None,
        }
    }

    /// Takes the testbed away.
    ///
    /// # Errors
    /// As [`Testbed::close`].
    pub async fn close(self) -> Result<(), T::Error> {
        match self.testbed {
            Some(testbed) => testbed.close().await,
            None => Ok(()),
        }
    }

    async fn open(&mut self, program: &T::Program) -> Result<T, T::Error> {
        let testbed = match self.testbed.take() {
            Some(testbed) if self.ready_for.as_ref() == Some(program) => return Ok(testbed),
            Some(testbed) => testbed,
            None => T::open(&self.setup).await?,
        };
        let testbed = testbed.ready_for(program, &self.setup).await?;
        self.ready_for = Some(program.clone());
        Ok(testbed)
    }
}

impl<T: Testbed> Runner for SerialRunner<T> {
    type Program = T::Program;
    type Error = T::Error;

    async fn run(
        &mut self,
        program: &T::Program,
        chooser: &mut dyn Chooser,
    ) -> Result<Run<T::Program>, T::Error> {
        let mut testbed = self.open(program).await?;
        let run = testbed.run(program, chooser).await?;
        match run.execution.is_at_rest() {
            true => self.testbed = Some(testbed),
            false => {
                self.ready_for = None;
                testbed.close().await?;
            }
        }
        Ok(run)
    }
}

impl<T: Testbed> fmt::Debug for SerialRunner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SerialRunner")
            .field("ready_for", &self.ready_for)
            .finish_non_exhaustive()
    }
}
