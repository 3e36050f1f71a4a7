//! What `rowlock explore` takes, and the flags that say it again.

use clap::{Args, ValueEnum};
use rowlock_core::seed::Seed;
use rowlock_shop::program;

use super::super::common::quoted;
use super::super::contract::ContractArgs;
use super::super::publish::PublishArgs;
use super::super::service::ServiceArgs;
use super::super::trace::TraceArgs;
use super::super::witness::WitnessArgs;
use super::super::{PostgresArgs, up_to};
use super::budget::{read_budget, repeat_budget};
use crate::explorer::search::Budget;
use crate::explorer::strategies::{Bounded, Dfs, Exhaustive, Overlap, Pct, Random};
use crate::explorer::{Schedule, Strategy};

/// More requests at once have more orders than anybody can wait for.
const MOST_BUYERS: u32 = 64;

/// Each has a database, a proxy and a target of its own.
pub(in crate::cli) const MOST_WORKERS: u32 = 64;

/// A run has no more choices than this, and so no more preemptions and changes of priority.
const MOST_BOUND: u32 = 1_000;

#[derive(Debug, Args)]
pub(in crate::cli) struct ExploreArgs {
    /// The requests to run: a program of the contract, the first one unless named, or of the shop,
    /// as `rowlock list` prints them, one-item unless named
    pub(super) program: Option<String>,
    #[command(flatten)]
    pub(super) contract: ContractArgs,
    #[command(flatten)]
    pub(super) postgres: PostgresArgs,
    #[command(flatten)]
    pub(super) service: ServiceArgs,
    #[command(flatten)]
    pub(in crate::cli) witness: WitnessArgs,
    #[command(flatten)]
    pub(in crate::cli) publish: PublishArgs,
    #[command(flatten)]
    pub(in crate::cli) trace: TraceArgs,
    /// How many requests run at once
    #[arg(long, value_name = "K", default_value_t = 2, value_parser = up_to(1, MOST_BUYERS))]
    pub(in crate::cli) buyers: usize,
    /// Run this one schedule, as a report prints it, and show what ran
    #[arg(long, value_name = "SCHEDULE", conflicts_with_all = ["strategy", "bound", "no_reduction",
          "budget", "workers", "keep_going", "seed"])]
    pub(in crate::cli) schedule: Option<Schedule>,
    /// Which schedules are run
    #[arg(long, value_enum, default_value_t = StrategyName::Dfs)]
    pub(super) strategy: StrategyName,
    /// The most preemptions of a schedule (bounded), or the depth of the bug (pct)
    #[arg(long, value_name = "B", default_value_t = 2, value_parser = up_to(0, MOST_BOUND))]
    bound: usize,
    /// Let dfs run every schedule, equivalent ones too
    #[arg(long)]
    no_reduction: bool,
    /// When to give up: a number of schedules, or a time such as 30s or 5m
    #[arg(long, value_name = "SCHEDULES|TIME", value_parser = read_budget)]
    pub(super) budget: Option<Budget>,
    /// How many schedules run at a time, each in a database of its own
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = up_to(1, MOST_WORKERS))]
    pub(super) workers: usize,
    /// Draw programs from the seed, so many [20], in the place of one that is named
    #[arg(long, value_name = "PROGRAMS", num_args = 0..=1, require_equals = true,
          default_missing_value = "20", value_parser = up_to(1, 1_000_000),
          conflicts_with_all = ["program", "schedule", "buyers"])]
    pub(in crate::cli) generate: Option<usize>,
    /// Go on after the first violation
    #[arg(long)]
    pub(in crate::cli) keep_going: bool,
    /// Where every random choice comes from; printed with the report
    #[arg(long, value_name = "SEED")]
    pub(in crate::cli) seed: Option<Seed>,
    /// Whether nothing is said for people.
    #[arg(skip)]
    pub(in crate::cli) is_quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StrategyName {
    /// Exhaustive, with equivalent schedules left out
    Dfs,
    /// Exhaustive up to a number of preemptions
    Bounded,
    /// Random priorities, with a stated probability
    Pct,
    /// Random
    Random,
    /// Pairs of statements at once, for races inside statements
    Overlap,
}

impl ExploreArgs {
    /// Whether the search goes on after the first violation: one that a baseline knows must not hide
    /// others.
    pub(super) fn goes_on(&self) -> bool {
        self.keep_going || self.publish.has_baseline()
    }

    /// The strategy that is meant, for so many requests.
    pub(super) fn strategy(&self, seed: Seed, requests: usize) -> Box<dyn Strategy> {
        match self.strategy {
            StrategyName::Dfs if self.no_reduction => Box::new(Exhaustive::default()),
            StrategyName::Dfs => Box::new(Dfs::default()),
            StrategyName::Bounded => Box::new(Bounded::new(self.bound)),
            StrategyName::Pct => Box::new(Pct::new(seed, requests, self.bound)),
            StrategyName::Random => Box::new(Random::new(seed)),
            StrategyName::Overlap => Box::new(Overlap::default()),
        }
    }

    /// Adds the flags that say what is run, and how much of it.
    pub(in crate::cli) fn push_effort(&self, flags: &mut Vec<String>) {
        let strategy = self.strategy.to_possible_value();
        let strategy = strategy.as_ref().map_or("", |value| value.get_name());
        flags.push(format!("--strategy {strategy}"));
        if matches!(self.strategy, StrategyName::Bounded | StrategyName::Pct) {
            flags.push(format!("--bound {}", self.bound));
        }
        if self.no_reduction {
            flags.push("--no-reduction".into());
        }
        flags.extend(self.budget.and_then(repeat_budget));
        if self.workers != 2 {
            flags.push(format!("--workers {}", self.workers));
        }
    }

    /// The flags that make the same search again, ready to paste.
    pub(super) fn repeat(&self, seed: Seed, program: &str, target: &str) -> String {
        let mut flags = vec![format!("explore {}", quoted(program))];
        if program::find(program).is_some() {
            flags.push(format!("--buyers {}", self.buyers));
        }
        self.repeat_from(flags, seed, target)
    }

    /// The same of a command line that begins with `flags`.
    pub(in crate::cli) fn repeat_from(
        &self,
        mut flags: Vec<String>,
        seed: Seed,
        target: &str,
    ) -> String {
        self.push_effort(&mut flags);
        if self.keep_going {
            flags.push("--keep-going".into());
        }
        flags.push(format!("--seed {seed}"));
        flags.push(target.to_owned());
        flags.join(" ").trim_end().to_owned()
    }
}
