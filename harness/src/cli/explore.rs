//! `rowlock explore`: every interleaving of a few requests, or as many as the budget allows.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, ValueEnum};
use rowlock_core::program::Program;
use rowlock_core::seed::Seed;
use rowlock_postgres::Server;
use rowlock_shop::program::{self, PROGRAMS};

use super::common::{conclude, unless_found};
use super::contract::{ContractArgs, set_up};
use super::service::ServiceArgs;
use super::trace::TraceArgs;
use super::witness::WitnessArgs;
use super::{Cli, PostgresArgs, exit_code, output, up_to};
use crate::contract::{self, ContractSubject};
use crate::explorer::search::Budget;
use crate::explorer::strategies::{Bounded, Dfs, Exhaustive, Overlap, Pct, Random};
use crate::explorer::{Bounds, Exploration, Run, Schedule, Search, Setup, Strategy, coverage};
use crate::progress::Progress;
use crate::shop::Shop;
use crate::subject::Subject;
use crate::target::{Described, TargetSpec};
use crate::trace::TraceFile;

/// More requests at once have more orders than anybody can wait for.
const MOST_BUYERS: u32 = 64;

/// Each has a database, a proxy and a target of its own.
pub(super) const MOST_WORKERS: u32 = 64;

/// A run has no more choices than this, and so no more preemptions and changes of priority.
const MOST_BOUND: u32 = 1_000;

/// The longest budget, in seconds: a year.
const MOST_SECONDS: u64 = 366 * 24 * 60 * 60;

/// What each generated program is given unless told otherwise: many small ones show more than all of one.
const GENERATED_BUDGET: Budget = Budget::Time(Duration::from_secs(20));

#[derive(Debug, Args)]
pub(super) struct ExploreArgs {
    /// The requests to run: a program of the contract, the first one unless named, or of the shop,
    /// as `rowlock list` prints them, one-item unless named
    program: Option<String>,
    #[command(flatten)]
    contract: ContractArgs,
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
    #[arg(long, value_name = "SCHEDULES|TIME", value_parser = read_budget)]
    budget: Option<Budget>,
    /// How many schedules run at a time, each in a database of its own
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = up_to(1, MOST_WORKERS))]
    workers: usize,
    /// Draw programs from the seed, so many [20], in the place of one that is named
    #[arg(long, value_name = "PROGRAMS", num_args = 0..=1, require_equals = true,
          default_missing_value = "20", value_parser = up_to(1, 1_000_000),
          conflicts_with_all = ["program", "schedule", "buyers"])]
    pub(super) generate: Option<usize>,
    /// Go on after the first violation
    #[arg(long)]
    pub(super) keep_going: bool,
    /// Where every random choice comes from; printed with the report
    #[arg(long, value_name = "SEED")]
    pub(super) seed: Option<Seed>,
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

/// Reads a number of schedules, or a time.
pub(super) fn read_budget(text: &str) -> Result<Budget, String> {
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

/// The flag that gives the same budget again, if there is one.
pub(super) fn repeat_budget(budget: Budget) -> Option<String> {
    match budget {
        Budget::Schedules(most) => Some(format!("--budget {most}")),
        Budget::Time(most) => Some(format!("--budget {}s", most.as_secs())),
        Budget::Unlimited => None,
    }
}

/// A program, and where it runs.
#[derive(Debug)]
pub(super) struct Prepared<S: Subject> {
    pub(super) server: Arc<Server>,
    pub(super) setup: Setup<S>,
    pub(super) program: S::Program,
    /// The flags that name the same server and target, ready to paste.
    pub(super) flags: String,
}

pub(super) async fn explore(
    args: &ExploreArgs,
    trace: Option<TraceFile>,
) -> anyhow::Result<ExitCode> {
    let progress = Progress::on_terminal();
    let seed = args.seed.unwrap_or_else(Seed::from_entropy);
    match args.described()? {
        None => {
            let program = args.shop_program()?;
            let again = args.repeat(seed, &program.name, &args.service_flags());
            let search = async {
                let prepared = args.prepare_shop(program, &progress, trace).await?;
                search(args, prepared, seed, &again, &progress).await
            };
            conclude_search(search, seed, &again, &progress).await
        }
        Some(described) => {
            let program = args.contract_program(&described)?;
            let again = args.repeat(seed, &program.name, &args.contract_flags(&described));
            let search = async {
                let prepared = args.prepare_contract(described, program, &progress, trace);
                search(args, prepared.await?, seed, &again, &progress).await
            };
            conclude_search(search, seed, &again, &progress).await
        }
    }
}

/// What a search came to.
struct Searched<P: Program> {
    explored: Exploration<P>,
    /// What the subject has to say beside it.
    remarks: Vec<String>,
    /// The violation for people, if there is one.
    evidence: Option<String>,
}

/// Shows what a search came to.
async fn conclude_search<P: Program>(
    search: impl Future<Output = anyhow::Result<Searched<P>>>,
    seed: Seed,
    again: &str,
    progress: &Progress,
) -> anyhow::Result<ExitCode> {
    let searched = match conclude(search, progress, again).await? {
        Ok(searched) => searched,
        Err(code) => return Ok(code),
    };
    let Searched {
        explored,
        remarks,
        evidence,
    } = searched;
    let remarks: Vec<_> = remarks.iter().map(|line| format!("  {line}\n")).collect();
    let coverage = coverage::render(&explored) + &remarks.concat();
    let evidence = evidence.map_or(String::new(), |evidence| format!("\n{evidence}"));
    output::write(&format!(
        "{coverage}seed {seed}; again: rowlock {again}\n{evidence}"
    ))?;
    Ok(exit_code::of(explored.verdict()))
}

async fn search<S: Subject>(
    args: &ExploreArgs,
    prepared: Prepared<S>,
    seed: Seed,
    again: &str,
    progress: &Progress,
) -> anyhow::Result<Searched<S::Program>> {
    let Prepared {
        server,
        setup,
        program,
        flags,
    } = prepared;
    let (explored, evidence) =
        search_one(args, (&setup, program, &flags), seed, again, progress).await?;
    let remarks = setup.subject.remarks();
    drop(setup);
    let Some(server) = Arc::into_inner(server) else {
        bail!("a worker outlived the search");
    };
    unless_found(evidence.is_some(), server.stop().await)?;
    Ok(Searched {
        explored,
        remarks,
        evidence,
    })
}

/// Searches a program on a place, with the flags that name that, and shows what is violated.
pub(super) async fn search_one<S: Subject>(
    args: &ExploreArgs,
    (setup, program, flags): (&Setup<S>, S::Program, &str),
    seed: Seed,
    again: &str,
    progress: &Progress,
) -> anyhow::Result<(Exploration<S::Program>, Option<String>)> {
    let mut strategy = args.strategy(seed, program.call_count());
    let search = Search {
        workers: match setup.target.may_run_twice() {
            true => args.workers,
            false => 1,
        },
        setup: setup.clone(),
        program,
        budget: args.budget.unwrap_or(match args.strategy {
            _ if args.generate.is_some() => GENERATED_BUDGET,
            StrategyName::Dfs | StrategyName::Bounded => Budget::Unlimited,
            _ => Budget::Schedules(1_000),
        }),
        keep_going: args.keep_going,
    };
    let mut runs = 0;
    let on_run = |run: &Run<S::Program>| {
        runs += 1;
        tracing::debug!(runs, schedule = %run.execution.schedule, verdict = %run.verdict());
        progress.say(format!("{runs} schedules"));
    };
    let explored = search.run(strategy.as_mut(), on_run).await?;
    let evidence = match &explored.violation {
        Some(run) => {
            progress.say("shrinking the violation");
            let write = args
                .witness
                .write(&search.setup, &search.program, run, flags, again);
            Some(write.await?.text)
        }
        None => None,
    };
    Ok((explored, evidence))
}

impl ExploreArgs {
    /// The contract that is meant, if one is.
    pub(super) fn described(&self) -> anyhow::Result<Option<Described>> {
        let is_shop = self.service.is_named()
            || self
                .program
                .as_deref()
                .is_some_and(|name| program::find(name).is_some());
        self.contract.read(!is_shop)
    }

    /// The shop's program that is meant.
    pub(super) fn shop_program(&self) -> anyhow::Result<program::Program> {
        let name = self.program.as_deref().unwrap_or("one-item");
        let Some(template) = program::find(name) else {
            let known = PROGRAMS.iter().map(|program| program.name.to_owned());
            unknown_program(name, known, "the shop");
        };
        Ok(template.program(self.buyers))
    }

    /// The contract's program that is meant.
    pub(super) fn contract_program(
        &self,
        described: &Described,
    ) -> anyhow::Result<contract::Program> {
        contract_program(self.program.as_deref(), described)
    }

    /// Starts PostgreSQL, and says what is run where.
    async fn start(&self, target: &TargetSpec, progress: &Progress) -> anyhow::Result<Arc<Server>> {
        progress.say("starting PostgreSQL");
        let server = Arc::new(Server::start(&self.postgres.exploring()).await?);
        output::write(&format!(
            "postgres: {}\ntarget:   {}\n",
            server.description(),
            target.describe()
        ))?;
        Ok(server)
    }

    pub(super) async fn prepare_shop(
        &self,
        program: program::Program,
        progress: &Progress,
        trace: Option<TraceFile>,
    ) -> anyhow::Result<Prepared<Shop>> {
        let target = self.service.in_process()?;
        let server = self.start(&target, progress).await?;
        Ok(Prepared {
            setup: Setup {
                subject: Shop,
                target_env: Vec::new(),
                server: Arc::clone(&server),
                target,
                bounds: Bounds::default(),
                trace,
            },
            server,
            program,
            flags: self.service_flags(),
        })
    }

    pub(super) async fn prepare_contract(
        &self,
        described: Described,
        program: contract::Program,
        progress: &Progress,
        trace: Option<TraceFile>,
    ) -> anyhow::Result<Prepared<ContractSubject>> {
        let flags = self.contract_flags(&described);
        let target = TargetSpec::Described(described.clone());
        let server = self.start(&target, progress).await?;
        output::write(&format!(
            "contract: {}\nprogram:  {}\n",
            described.contract.file.display(),
            program.name
        ))?;
        progress.say("making the database");
        Ok(Prepared {
            setup: set_up(described, &server, trace).await?,
            server,
            program,
            flags,
        })
    }

    /// The flags that name the same server and service, ready to paste.
    pub(super) fn service_flags(&self) -> String {
        [self.postgres.repeat(), self.service.repeat()]
            .concat()
            .join(" ")
    }

    /// The flags that name the same server and contract, ready to paste.
    pub(super) fn contract_flags(&self, described: &Described) -> String {
        let mut flags = vec![ContractArgs::repeat(described)];
        flags.extend(self.postgres.repeat());
        flags.join(" ")
    }

    fn strategy(&self, seed: Seed, requests: usize) -> Box<dyn Strategy> {
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
    pub(super) fn push_effort(&self, flags: &mut Vec<String>) {
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
    fn repeat(&self, seed: Seed, program: &str, target: &str) -> String {
        let mut flags = vec![format!("explore {}", quoted(program))];
        if program::find(program).is_some() {
            flags.push(format!("--buyers {}", self.buyers));
        }
        self.push_effort(&mut flags);
        if self.keep_going {
            flags.push("--keep-going".into());
        }
        flags.push(format!("--seed {seed}"));
        flags.push(target.to_owned());
        flags.join(" ").trim_end().to_owned()
    }
}

/// The program of a contract that has this name, or the first.
pub(super) fn contract_program(
    name: Option<&str>,
    described: &Described,
) -> anyhow::Result<contract::Program> {
    let programs = contract::programs(&described.contract);
    let file = described.contract.file.display().to_string();
    let found = match name {
        None => programs.first(),
        Some(name) => match programs.iter().find(|program| program.name == name) {
            Some(program) => Some(program),
            None => {
                let written = &described.contract.programs;
                let known = programs.iter().map(|program| {
                    match written.iter().find(|spec| spec.name == program.name) {
                        Some(spec) => format!("{} ({file}:{})", program.name, spec.line),
                        None => program.name.clone(),
                    }
                });
                unknown_program(name, known, &file)
            }
        },
    };
    found
        .cloned()
        .with_context(|| format!("{file} has no story that could be explored"))
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    match shlex::try_quote(word) {
        Ok(quoted) => quoted.into_owned(),
        Err(_) => word.to_owned(),
    }
}

/// Ends the process: there is no such program.
fn unknown_program(name: &str, known: impl Iterator<Item = String>, of: &str) -> ! {
    let known: Vec<_> = known.map(|known| format!("  {known}\n")).collect();
    let message = format!("{of} has no program {name:?}; it has\n{}", known.concat());
    Cli::command()
        .error(ErrorKind::InvalidValue, message)
        .exit()
}
