//! One place for one run after another: for shrinking and for replay.
//!
//! Whoever asks for a run gets it on warm connections and under control from its
//! start; where the run before left something under way, that means another place.

use rowlock_shop::program::Program;

use super::place::Place;
use super::run::Run;
use super::runner::Runner;
use super::setup::Setup;
use super::strategy::Chooser;
use crate::environment::EnvironmentError;

/// Runs programs one at a time, on a place that is opened when it is needed.
#[derive(Debug)]
pub struct SerialRunner {
    setup: Setup,
    place: Option<Place>,
    /// The program for which the place is warm.
    warm: Option<Program>,
}

impl SerialRunner {
    /// Opens nothing yet. The program of `setup` does not matter.
    pub fn new(setup: Setup) -> SerialRunner {
        SerialRunner {
            setup,
            place: None,
            warm: None,
        }
    }

    /// Takes the place away.
    ///
    /// # Errors
    /// The database could not be dropped.
    pub async fn close(self) -> Result<(), EnvironmentError> {
        match self.place {
            Some(place) => place.close().await,
            None => Ok(()),
        }
    }

    async fn open(&mut self, program: &Program) -> Result<Place, EnvironmentError> {
        let place = match self.place.take() {
            Some(place) if self.warm.as_ref() == Some(program) => return Ok(place),
            Some(place) => place,
            None => Place::open(&self.setup).await?,
        };
        let place = place.ready_for(program, &self.setup).await?;
        self.warm = Some(program.clone());
        Ok(place)
    }
}

impl Runner for SerialRunner {
    async fn run(
        &mut self,
        program: &Program,
        chooser: &mut dyn Chooser,
    ) -> Result<Run, EnvironmentError> {
        let mut place = self.open(program).await?;
        let run = place.run(program, chooser).await?;
        match run.execution.is_at_rest() {
            true => self.place = Some(place),
            false => {
                self.warm = None;
                place.close().await?;
            }
        }
        Ok(run)
    }
}
