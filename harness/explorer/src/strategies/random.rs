//! Random schedules: at each point, each held step with the same probability.

use rand::RngExt;
use rowlock_core::seed::Seed;

use crate::execution::Execution;
use crate::schedule::Choice;
use crate::strategy::{Chooser, Next, Point, Strategy};

/// Random search; it ends with its budget.
#[derive(Debug)]
pub struct Random {
    seed: Seed,
    runs: u64,
}

impl Random {
    /// The schedules of this seed.
    pub fn new(seed: Seed) -> Self {
        Random { seed, runs: 0 }
    }
}

impl Strategy for Random {
    fn next(&mut self) -> Next {
        self.runs += 1;
        Next::Run(Box::new(RandomRun {
            seed: self.seed,
            run: self.runs,
        }))
    }

    fn observe(&mut self, _: &Execution) {}
}

struct RandomRun {
    seed: Seed,
    run: u64,
}

impl Chooser for RandomRun {
    fn choose(&mut self, point: &Point<'_>) -> Choice {
        let purpose = format!("random {} {}", self.run, point.before.len());
        let at = self.seed.rng(&purpose).random_range(0..point.enabled.len());
        Choice::Deliver(point.enabled[at].0)
    }
}
