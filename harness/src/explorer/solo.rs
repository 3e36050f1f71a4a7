//! One place for one run after another: for shrinking and for replay.
//!
//! The one idea: whoever asks for a run gets it on warm connections and under control from its
//! start; where the run before lost control, that means another place.

use super::outcome::{Control, Outcome};
use super::place::Place;
use super::program::Program;
use super::runner::Runner;
use super::search::Setup;
use super::strategy::Chooser;
use crate::world::EnvironmentError;

/// Runs programs one at a time, on a place that is opened when it is needed.
#[derive(Debug)]
pub struct Solo {
    setup: Setup,
    place: Option<Place>,
    /// The program for which the place is warm.
    warm: Option<Program>,
}

impl Solo {
    /// Opens nothing yet. The program of `setup` does not matter.
    pub fn new(setup: Setup) -> Solo {
        Solo {
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
        let mut place = match self.place.take() {
            Some(place) => place,
            None => {
                self.warm = None;
                let Setup {
                    server,
                    target,
                    bounds,
                    checks,
                    ..
                } = &self.setup;
                Place::open(server.clone(), target, *bounds, checks.clone()).await?
            }
        };
        if self.warm.as_ref() != Some(program) {
            place.warm_up(program).await?;
            self.warm = Some(program.clone());
        }
        Ok(place)
    }
}

impl Runner for Solo {
    async fn run(
        &mut self,
        program: &Program,
        chooser: &mut dyn Chooser,
    ) -> Result<Outcome, EnvironmentError> {
        let mut place = self.open(program).await?;
        let outcome = place.run(program, chooser).await?;
        match outcome.control {
            Control::Kept => self.place = Some(place),
            // Whatever took control away may still be under way.
            Control::Lost(_) => place.close().await?,
        }
        Ok(outcome)
    }
}
