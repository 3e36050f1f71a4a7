//! The `rowlock` command: what it takes, and what it does with it.

mod burst;
mod check;
mod common;
mod completions;
mod contract;
mod doctor;
mod exit_code;
mod explore;
mod faults;
mod follow;
mod generate;
mod hunt;
mod init;
mod mutants;
mod output;
mod part;
mod publish;
mod replay;
mod run;
mod serve;
mod service;
mod stop;
mod target;
mod trace;
mod verify;
mod witness;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use rowlock_core::seed::Seed;
use rowlock_core::universal;
use rowlock_postgres::Provider;
use rowlock_shop::invariant::INVARIANTS;
use rowlock_shop::program::PROGRAMS;

use self::exit_code::Exit;
use crate::shop::scenario::{SCENARIOS, ScenarioName};

/// Proves a purchase service right on a real PostgreSQL, or shows where it is wrong.
///
/// Exit codes: 0 everything checked holds; 1 an invariant is violated; 2 the command line is
/// wrong; 3 the environment failed, and the run may be tried again; 4 nothing is violated, and not
/// everything could be checked; 130 interrupted. A reader of the output who leaves early changes
/// none of it.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every scenario and say what held and what was not verified; with a contract, explore each
    /// of its programs, let its actors go at once, and break its steps
    Verify(RunArgs),
    /// Run one scenario, or a burst: a contract's actors, many at once
    Run {
        /// Its name, as `rowlock list` prints it
        #[arg(value_name = "SCENARIO", value_parser = load_names())]
        load: Load,
        #[command(flatten)]
        args: RunArgs,
        #[command(flatten)]
        trace: trace::TraceArgs,
    },
    /// Break every step of a purchase, or of a contract's calls, in every way, one at a time
    Faults(faults::FaultsArgs),
    /// Run a few simultaneous requests in every order in which their SQL can reach PostgreSQL
    Explore(explore::ExploreArgs),
    /// Find out which stories of a contract can conflict, and explore those
    Hunt(hunt::HuntArgs),
    /// Run the schedules of witnesses again: exit code 1 where one is violated again
    Replay(replay::ReplayArgs),
    /// Write the first contract of a service, with what its files and its OpenAPI document tell
    Init(init::InitArgs),
    /// Prove the harness: it must catch each broken service of its gallery and accuse no right one
    Mutants(mutants::MutantsArgs),
    /// List the scenarios, the programs to explore and the invariants
    List,
    /// Decide whether recorded histories are linearizable, and name what contradicts it
    Check(check::CheckArgs),
    /// Start a throwaway PostgreSQL and the service with a few rows, to play with by hand
    Serve(serve::ServeArgs),
    /// Say what is here, what each command could use, and what to install; exit code 3 where `verify`
    /// could not run
    Doctor,
    /// Write a shell's completions for this command to standard output
    Completions(completions::CompletionsArgs),
    /// Write the manual pages of this command, for `man`
    Man(completions::ManArgs),
    /// Serve on $PORT with $DATABASE_URL until SIGTERM: what the harness starts as its target
    #[command(hide = true)]
    Target(target::TargetArgs),
}

/// How long a client waits for an answer, unless told otherwise.
const REQUEST_TIMEOUT_S: u64 = 60;

/// What `run` runs.
#[derive(Debug, Clone, Copy)]
enum Load {
    Scenario(ScenarioName),
    Burst,
}

fn load_names() -> impl clap::builder::TypedValueParser<Value = Load> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    let names = ScenarioName::ALL.into_iter().map(ScenarioName::as_str);
    PossibleValuesParser::new(names.chain([burst::NAME])).map(|name| match name.parse() {
        Ok(scenario) => Load::Scenario(scenario),
        // The only other name that is possible.
        Err(_) => Load::Burst,
    })
}

/// How a run is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table and sentences
    Human,
    /// One JSON document
    Json,
}

#[derive(Debug, Args)]
struct PostgresArgs {
    /// Where the PostgreSQL comes from: a container of ROWLOCK_PG_IMAGE, a local throwaway
    /// cluster (PG_BIN or wherever it is installed), or the server of DATABASE_URL
    #[arg(long, value_enum, default_value_t = Provider::Auto, value_name = "PROVIDER")]
    postgres: Provider,
    /// Let every commit wait for the disk (fsync), as production does
    #[arg(long)]
    durable: bool,
}

/// What every kind of run takes.
#[derive(Debug, Args)]
struct CommonArgs {
    #[command(flatten)]
    postgres: PostgresArgs,
    #[command(flatten)]
    service: service::ServiceArgs,
    /// Where every random choice comes from; printed with each report
    #[arg(long, value_name = "SEED")]
    seed: Option<Seed>,
    /// How long a client waits for an answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = REQUEST_TIMEOUT_S,
          value_parser = clap::value_parser!(u64).range(1..))]
    request_timeout_s: u64,
    /// End with the first violation; what was left out is said
    #[arg(long)]
    fail_fast: bool,
    /// How to write the report on standard output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Also write the report as JUnit XML
    #[arg(long, value_name = "PATH")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    publish: publish::PublishArgs,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// How many buyers `concurrent-buyers` lets go at once, each on an open connection
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = up_to(1, 1_000_000))]
    buyers: usize,
    /// The stocks that they fight for, one trial each
    #[arg(long, value_name = "UNITS", value_delimiter = ',', default_values_t = [1, 1_000],
          value_parser = clap::value_parser!(i64).range(0..))]
    stock: Vec<i64>,
    /// Fail where more than this share of a load's requests gave way to others (409), in percent;
    /// without it that share is only shown
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    max_conflicts: Option<f64>,
    #[command(flatten)]
    contract: contract::ContractArgs,
    /// The contract's program whose actors `burst` lets go; the first one unless named
    #[arg(long, value_name = "NAME")]
    program: Option<String>,
    /// How many actors `burst` lets go at once, the program's in turn
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = up_to(1, 1_000_000))]
    actors: usize,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err(format!("{text:?} is no share from 0 to 100")),
    }
}

/// A count from `least` to `most`.
fn up_to(least: u32, most: u32) -> impl clap::builder::TypedValueParser<Value = usize> {
    use clap::builder::TypedValueParser;
    clap::value_parser!(u32)
        .range(i64::from(least)..=i64::from(most))
        .map(|count| count as usize)
}

impl Cli {
    /// What is logged unless RUST_LOG says otherwise. What a target in this process complains
    /// about, the service or a mutant, is for the verdict to say; a process that is the service
    /// speaks for itself.
    pub fn log_filter(&self) -> &'static str {
        match self.command {
            Command::Serve(_) | Command::Target(_) => "warn,sqlx=error,sqlx_core=error",
            _ => "warn,sqlx=error,sqlx_core=error,purchase_service=off,rowlock::mutants=off",
        }
    }

    /// Does what the command line says, and gives the process's exit code.
    pub async fn execute(self) -> ExitCode {
        let done = match self.command {
            Command::Verify(args) => verify::verify(args).await,
            Command::Run { load, args, trace } => match load {
                Load::Burst => burst::run_burst(args).await,
                Load::Scenario(scenario) => {
                    let run = async |file| run::run(scenario, args, file).await;
                    trace.with(run).await
                }
            },
            Command::Faults(args) => {
                let faults = async |file| faults::faults(&args, file).await;
                args.trace.with(faults).await
            }
            Command::Explore(args) => {
                let explore = async |file| match (&args.schedule, args.generate) {
                    (Some(schedule), _) => follow::follow(&args, schedule, file).await,
                    (None, Some(count)) => generate::generate(&args, count, file).await,
                    (None, None) => explore::explore(&args, file).await,
                };
                args.trace.with(explore).await
            }
            Command::Hunt(args) => {
                let hunt = async |file| hunt::hunt(&args, file).await;
                args.trace.with(hunt).await
            }
            Command::Replay(args) => {
                let replay = async |file| replay::replay_all(&args, file).await;
                args.trace.with(replay).await
            }
            Command::Init(args) => init::init(args).await,
            Command::Mutants(args) => mutants::mutants(args).await,
            Command::List => list(),
            Command::Check(args) => check::check(&args),
            Command::Serve(args) => serve::serve(args).await,
            Command::Doctor => doctor::doctor().await,
            Command::Completions(args) => completions::completions(&args),
            Command::Man(args) => completions::man(&args),
            Command::Target(args) => target::serve(args).await,
        };
        done.unwrap_or_else(|error| {
            output::complain(&format!("error: {error:#}"));
            Exit::of_error(&error).into()
        })
    }
}

fn list() -> anyhow::Result<ExitCode> {
    let line = |name: &str, about: &str| format!("  {name:<32} {about}\n");
    let scenarios = SCENARIOS.iter();
    let scenarios = scenarios.map(|it| line(it.name.as_str(), it.about));
    let programs = PROGRAMS.iter().map(|it| line(it.name, it.about));
    let invariants = INVARIANTS.iter().map(|it| line(it.name, it.statement));
    let universal = universal::CHECKS.iter();
    let invariants = invariants.chain(universal.map(|it| line(it.name, it.statement)));
    output::write(&format!(
        "scenarios:\n{}\nprograms to explore:\n{}\ninvariants, checked after every trial:\n{}",
        scenarios.collect::<String>(),
        programs.collect::<String>(),
        invariants.collect::<String>()
    ))?;
    Ok(ExitCode::SUCCESS)
}
