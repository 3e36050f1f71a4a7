//! The shop's scenarios: initial rows, workload, faults, and what must hold.

mod balance_edge;
mod case;
mod concurrent_buyers;
mod double_click;
mod expected;
mod failure_under_load;
mod mid_transaction_failure;
mod name;

pub use name::{ScenarioName, UnknownScenario};

use futures::future::BoxFuture;
use rowlock_shop::history::Operation;

use super::Shop;
use crate::environment::EnvironmentError;
use crate::load::{self, Trial};
use crate::setting::Setting;

type Trials = Result<Vec<Trial>, EnvironmentError>;

type World<'a> = load::World<'a, Shop>;

/// How much load there is, and what it is held to.
#[derive(Debug, Clone)]
pub struct Load {
    /// How many buyers `concurrent-buyers` lets go at once.
    pub buyers: usize,
    /// The stocks for which it does so, one trial each.
    pub stocks: Vec<i64>,
    /// The most requests of a trial that may give way to others, in percent; none is no limit.
    pub max_conflicts: Option<f64>,
}

/// A named way to bring a target into trouble.
#[derive(Debug)]
pub struct Scenario {
    /// Its name on the command line and in reports.
    pub name: ScenarioName,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// Whether its requests meet each other, so that how many give way says something.
    is_load: bool,
    run: for<'a> fn(&'a Setting<'a>, &'a Load) -> BoxFuture<'a, Trials>,
}

impl Scenario {
    /// Runs all trials of the scenario, one after another.
    ///
    /// # Errors
    /// [`EnvironmentError`]; a broken invariant is no error but a trial's verdict.
    pub async fn run(&self, setting: &Setting<'_>, load: &Load) -> Trials {
        let trials = (self.run)(setting, load).await?;
        let limit = load.max_conflicts.filter(|_| self.is_load);
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
        name: ScenarioName::ConcurrentBuyers,
        about: "thousands of buyers, each on a connection of its own, press Buy on one item at once",
        is_load: true,
        run: |setting, load| Box::pin(concurrent_buyers::run(setting, load)),
    },
    Scenario {
        name: ScenarioName::DoubleClick,
        about: "one user clicks 2 to 50 times at once, with and without an Idempotency-Key",
        is_load: true,
        run: |setting, _| Box::pin(double_click::run(setting)),
    },
    Scenario {
        name: ScenarioName::BalanceEdge,
        about: "balances just below, at and above the price, the largest numbers, one wallet for many items",
        is_load: true,
        run: |setting, _| Box::pin(balance_edge::run(setting)),
    },
    Scenario {
        name: ScenarioName::MidTransactionFailure,
        about: "every step of a purchase breaks in every way that leaves the server alive",
        is_load: false,
        run: |setting, _| Box::pin(mid_transaction_failure::run(setting)),
    },
    Scenario {
        name: ScenarioName::FailureUnderLoad,
        about: "triggers raise, sessions are terminated and the server restarts while many buy",
        is_load: true,
        run: |setting, _| Box::pin(failure_under_load::run(setting)),
    },
];

/// The scenario called `name`.
///
/// # Errors
/// A name that none has.
pub fn find(name: &str) -> Result<&'static Scenario, UnknownScenario> {
    name.parse().map(of)
}

/// The scenario of this name.
pub fn of(name: ScenarioName) -> &'static Scenario {
    let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
    found.expect("each name has its scenario")
}

/// A trial that cannot be asked of the target.
fn not_applicable(name: &str, why: &str) -> Trial {
    Trial::not_applicable::<Operation>(name, why)
}

/// A trial in which a customer buys an item again, of a target that does not sell it again.
fn once_per_customer(name: &str) -> Trial {
    not_applicable(name, "the target sells an item once to each customer")
}
