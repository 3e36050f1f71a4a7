//! The scenarios: initial rows, workload, faults, and what must hold.

mod balance_edge;
mod case;
mod concurrent_buyers;
mod double_click;
mod expected;
mod failure_under_load;
mod mid_transaction_failure;

use futures::future::BoxFuture;

use crate::environment::EnvironmentError;
use crate::trial::Trial;
use crate::world::Setting;

type Trials = Result<Vec<Trial>, EnvironmentError>;

/// A named way to bring a target into trouble.
#[derive(Debug)]
pub struct Scenario {
    /// Its name on the command line and in reports.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// Whether its requests meet each other, so that how many give way says something.
    is_load: bool,
    run: for<'a> fn(&'a Setting<'a>) -> BoxFuture<'a, Trials>,
}

impl Scenario {
    /// Runs all trials of the scenario, one after another.
    ///
    /// # Errors
    /// [`EnvironmentError`]; a broken invariant is no error but a trial's verdict.
    pub async fn run(&self, setting: &Setting<'_>) -> Trials {
        let trials = (self.run)(setting).await?;
        let limit = setting.max_conflicts.filter(|_| self.is_load);
        let hold = |trial: Trial| match limit {
            Some(percent) => trial.with_most_conflicts(percent),
            None => trial,
        };
        Ok(trials.into_iter().map(hold).collect())
    }
}

/// Every scenario, in the order in which `verify` runs them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "concurrent-buyers",
        about: "thousands of buyers, each on a connection of its own, press Buy on one item at once",
        is_load: true,
        run: |setting| Box::pin(concurrent_buyers::run(setting)),
    },
    Scenario {
        name: "double-click",
        about: "one user clicks 2 to 50 times at once, with and without an Idempotency-Key",
        is_load: true,
        run: |setting| Box::pin(double_click::run(setting)),
    },
    Scenario {
        name: "balance-edge",
        about: "balances just below, at and above the price, the largest numbers, one wallet for many items",
        is_load: true,
        run: |setting| Box::pin(balance_edge::run(setting)),
    },
    Scenario {
        name: "mid-transaction-failure",
        about: "every step of a purchase breaks in every way that leaves the server alive",
        is_load: false,
        run: |setting| Box::pin(mid_transaction_failure::run(setting)),
    },
    Scenario {
        name: "failure-under-load",
        about: "triggers raise, sessions are terminated and the server restarts while many buy",
        is_load: true,
        run: |setting| Box::pin(failure_under_load::run(setting)),
    },
];

/// The scenario called `name`.
pub fn find(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}
