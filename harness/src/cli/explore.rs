//! `rowlock explore`: every interleaving of a few requests, or as many as the budget allows.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};
use rowlock_core::seed::Seed;
use rowlock_postgres::Server;
use rowlock_shop::program::{self, PROGRAMS, Program};

use super::common::{conclude, unless_found};
use super::service::ServiceArgs;
use super::trace::TraceArgs;
use super::witness::WitnessArgs;
use super::{PostgresArgs, exit_code, output, up_to};
use crate::explorer::search::Budget;
use crate::explorer::strategies::{Bounded, Dfs, Exhaustive, Overlap, Pct, Random};
use crate::explorer::{Bounds, Exploration, Run, Schedule, Search, Setup, Strategy, coverage};
use crate::progress::Progress;
use crate::shop::Shop;
use crate::trace::TraceFile;

/// More requests at once have more orders than anybody can wait for.
const MOST_BUYERS: u32 = 64;

/// Each has a database, a proxy and a target of its own.
const MOST_WORKERS: u32 = 64;

/// A run has no more choices than this, and so no more preemptions and changes of priority.
const MOST_BOUND: u32 = 1_000;

/// The longest budget, in seconds: a year.
const MOST_SECONDS: u64 = 366 * 24 * 60 * 60;

#[derive(Debug, Args)]
pub(super) struct ExploreArgs {
    /// The requests to run, as `rowlock list` prints them
    #[arg(default_value = "one-item", value_parser = program_names())]
    pub(super) program: String,
    #[command(flatten)]
    postgres: PostgresArgs,
    #[command(flatten)]
    service: ServiceArgs,
    #[command(flatten)]
    pub(super) witness: WitnessArgs,
    #[command(flatten)]
    pub(super) trace: TraceArgs,
    /// How many requests run at once
    #[arg(long, value_name = "K", default_value_t = 2, value_parser = up_to(1, MOST_BUYERS))]
    pub(super) buyers: usize,
    /// Run this one schedule, as a report prints it, and show what ran
    #[arg(long, value_name = "SCHEDULE", conflicts_with_all = ["strategy", "bound", "no_reduction",
          "budget", "workers", "keep_going", "seed"])]
    pub(super) schedule: Option<Schedule>,
    /// Which schedules are run
    #[arg(long, value_enum, default_value_t = StrategyName::Dfs)]
    strategy: StrategyName,
    /// The most preemptions of a schedule (bounded), or the depth of the bug (pct)
    #[arg(long, value_name = "B", default_value_t = 2, value_parser = up_to(0, MOST_BOUND))]
    bound: usize,
    /// Let dfs run every schedule, equivalent ones too
    #[arg(long)]
    no_reduction: bool,
    /// When to give up: a number of schedules, or a time such as 30s or 5m
    #[arg(long, value_name = "SCHEDULES|TIME", value_parser = budget)]
    budget: Option<Budget>,
    /// How many schedules run at a time, each in a database of its own
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = up_to(1, MOST_WORKERS))]
    workers: usize,
    /// Go on after the first violation
    #[arg(long)]
    keep_going: bool,
    /// Where every random choice comes from; printed with the report
    #[arg(long, value_name = "SEED")]
    seed: Option<Seed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StrategyName {
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

fn program_names() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(PROGRAMS.iter().map(|program| program.name))
}

fn budget(text: &str) -> Result<Budget, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{text:?} is no number of schedules and no time such as 30s"))?;
    let seconds = match &text[digits.len()..] {
        "" => return Ok(Budget::Schedules(number)),
        "s" => number,
        "m" => number.saturating_mul(60),
        unit => return Err(format!("{unit:?} is no unit of time; use s or m")),
    };
    match seconds {
        0..=MOST_SECONDS => Ok(Budget::Time(Duration::from_secs(seconds))),
        _ => Err(format!("{text} is longer than a year, {MOST_SECONDS}s")),
    }
}

pub(super) async fn explore(
    args: &ExploreArgs,
    trace: Option<TraceFile>,
) -> anyhow::Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(Seed::from_entropy);
    let progress = Progress::on_terminal();
    let again = args.repeat(seed);
    let search = search(args, seed, &again, &progress, trace);
    let explored = match conclude(search, &progress, &again).await? {
        Ok(explored) => explored,
        Err(code) => return Ok(code),
    };
    let (explored, evidence) = explored;
    let coverage = coverage::render(&explored);
    let evidence = evidence.map_or(String::new(), |evidence| format!("\n{evidence}"));
    output::write(&format!(
        "{coverage}seed {seed}; again: rowlock {again}\n{evidence}"
    ))?;
    Ok(exit_code::of(explored.verdict()))
}

async fn search(
    args: &ExploreArgs,
    seed: Seed,
    again: &str,
    progress: &Progress,
    trace: Option<TraceFile>,
) -> anyhow::Result<(Exploration, Option<String>)> {
    let (server, setup, program) = args.set_up(progress, trace).await?;
    let search = Search {
        setup,
        program,
        workers: args.workers,
        budget: args.budget.unwrap_or(match args.strategy {
            StrategyName::Dfs | StrategyName::Bounded => Budget::Unlimited,
            _ => Budget::Schedules(1_000),
        }),
        keep_going: args.keep_going,
    };
    let mut strategy = args.strategy(seed);
    let mut runs = 0;
    let on_run = |run: &Run| {
        runs += 1;
        tracing::debug!(runs, schedule = %run.execution.schedule, verdict = %run.verdict());
        progress.say(format!("{runs} schedules"));
    };
    let explored = search.run(strategy.as_mut(), on_run).await?;
    let evidence = match &explored.violation {
        Some(run) => {
            progress.say("shrinking the violation");
            let flags = args.flags();
            let write = args
                .witness
                .write(&search.setup, &search.program, run, &flags, again);
            Some(write.await?)
        }
        None => None,
    };
    drop(search);
    let Some(server) = Arc::into_inner(server) else {
        bail!("a worker outlived the search");
    };
    unless_found(evidence.is_some(), server.stop().await)?;
    Ok((explored, evidence))
}

impl ExploreArgs {
    /// Starts PostgreSQL, and says what is run where.
    pub(super) async fn set_up(
        &self,
        progress: &Progress,
        trace: Option<TraceFile>,
    ) -> anyhow::Result<(Arc<Server>, Setup, Program)> {
        let target = self.service.in_process()?;
        let Some(template) = program::find(&self.program) else {
            bail!("program {:?} is not known", self.program);
        };
        progress.say("starting PostgreSQL");
        let server = Arc::new(Server::start(&self.postgres.exploring()).await?);
        output::write(&format!(
            "postgres: {}\ntarget:   {}\n",
            server.description(),
            target.describe()
        ))?;
        let setup = Setup {
            subject: Shop,
            target_env: Vec::new(),
            server: Arc::clone(&server),
            target,
            bounds: Bounds::default(),
            trace,
        };
        Ok((server, setup, template.program(self.buyers)))
    }

    /// The flags that name the same server and target, ready to paste.
    pub(super) fn flags(&self) -> String {
        [self.postgres.repeat(), self.service.repeat()]
            .concat()
            .join(" ")
    }

    fn strategy(&self, seed: Seed) -> Box<dyn Strategy> {
        match self.strategy {
            StrategyName::Dfs if self.no_reduction => Box::new(Exhaustive::default()),
            StrategyName::Dfs => Box::new(Dfs::default()),
            StrategyName::Bounded => Box::new(Bounded::new(self.bound)),
            StrategyName::Pct => Box::new(Pct::new(seed, self.buyers, self.bound)),
            StrategyName::Random => Box::new(Random::new(seed)),
            StrategyName::Overlap => Box::new(Overlap::default()),
        }
    }

    /// The flags that make the same search again, ready to paste.
    fn repeat(&self, seed: Seed) -> String {
        let mut flags = vec![
            format!("explore {}", self.program),
            format!("--buyers {}", self.buyers),
        ];
        let strategy = self.strategy.to_possible_value();
        let strategy = strategy.as_ref().map_or("", |value| value.get_name());
        flags.push(format!("--strategy {strategy}"));
        if matches!(self.strategy, StrategyName::Bounded | StrategyName::Pct) {
            flags.push(format!("--bound {}", self.bound));
        }
        if self.no_reduction {
            flags.push("--no-reduction".into());
        }
        match self.budget {
            Some(Budget::Schedules(most)) => flags.push(format!("--budget {most}")),
            Some(Budget::Time(most)) => flags.push(format!("--budget {}s", most.as_secs())),
            Some(Budget::Unlimited) | None => {}
        }
        if self.workers != 2 {
            flags.push(format!("--workers {}", self.workers));
        }
        if self.keep_going {
            flags.push("--keep-going".into());
        }
        flags.push(format!("--seed {seed}"));
        flags.extend(self.postgres.repeat());
        flags.extend(self.service.repeat());
        flags.join(" ")
    }
}
