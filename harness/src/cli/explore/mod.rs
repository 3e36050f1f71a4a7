//! `rowlock explore`: every interleaving of a few requests, or as many as the budget allows.

mod args;
mod budget;
mod kinds;
mod page;
mod part;
mod prepare;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use rowlock_core::program::Program;
use rowlock_core::seed::Seed;

use super::common::{conclude, unless_found};
use super::witness::Evidence;
use super::{exit_code, output};
use crate::explorer::search::Budget;
use crate::explorer::{Exploration, Run, Search, Setup};
use crate::progress::Progress;
use crate::subject::Subject;
use crate::trace::TraceFile;

use args::StrategyName;
pub(super) use args::{ExploreArgs, MOST_WORKERS};
pub(super) use budget::{read_budget, repeat_budget};
use kinds::Kinds;
pub(super) use part::explore_part;
pub(super) use prepare::{Prepared, contract_program};

/// What each generated program is given unless told otherwise: many small ones show more than all of one.
const GENERATED_BUDGET: Budget = Budget::Time(Duration::from_secs(20));

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
            conclude_search(args, search, seed, &again, &progress).await
        }
        Some(described) => {
            let program = args.contract_program(&described)?;
            let again = args.repeat(seed, &program.name, &args.contract_flags(&described));
            let search = async {
                let prepared = args.prepare_contract(described, program, &progress, trace);
                search(args, prepared.await?, seed, &again, &progress).await
            };
            conclude_search(args, search, seed, &again, &progress).await
        }
    }
}

/// What a search came to.
struct Searched<P: Program> {
    explored: Exploration<P>,
    /// What the subject has to say beside it.
    remarks: Vec<String>,
    /// The violations for people: the first, or where a baseline knows some, one of each kind.
    evidence: Vec<Evidence>,
    /// Whether it went on after the first violation.
    went_on: bool,
    /// What was explored, by its name.
    program: String,
    /// Where it ran, in words.
    postgres: String,
    /// What was judged, in words.
    target: String,
}

/// Shows what a search came to.
async fn conclude_search<P: Program>(
    args: &ExploreArgs,
    search: impl Future<Output = anyhow::Result<Searched<P>>>,
    seed: Seed,
    again: &str,
    progress: &Progress,
) -> anyhow::Result<ExitCode> {
    let searched = match conclude(search, progress, again).await? {
        Ok(searched) => searched,
        Err(code) => return Ok(code),
    };
    let text = searched.render(seed, again);
    let page = searched.page(seed, again, args.source()?);
    output::write(&text)?;
    Ok(exit_code::of(args.publish.publish(&page, &text)?))
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
    let name = program.name().to_owned();
    let (explored, evidence) =
        search_one(args, (&setup, program, &flags), seed, again, progress).await?;
    let remarks = setup.subject.remarks();
    let (postgres, target) = (server.description(), setup.target.describe());
    drop(setup);
    let Some(server) = Arc::into_inner(server) else {
        bail!("a worker outlived the search");
    };
    unless_found(!evidence.is_empty(), server.stop().await)?;
    Ok(Searched {
        explored,
        remarks,
        evidence,
        went_on: args.goes_on(),
        program: name,
        postgres,
        target,
    })
}

/// Searches a program on a place, with the flags that name that, and shows what is violated.
pub(super) async fn search_one<S: Subject>(
    args: &ExploreArgs,
    (setup, program, flags): (&Setup<S>, S::Program, &str),
    seed: Seed,
    again: &str,
    progress: &Progress,
) -> anyhow::Result<(Exploration<S::Program>, Vec<Evidence>)> {
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
        keep_going: args.goes_on(),
    };
    let mut runs = 0;
    let mut kinds = Kinds::default();
    let on_run = |run: &Run<S::Program>| {
        runs += 1;
        kinds.take(run);
        tracing::debug!(runs, schedule = %run.execution.schedule, verdict = %run.verdict());
        progress.say(format!("{runs} schedules"));
    };
    let explored = search.run(strategy.as_mut(), on_run).await?;
    let violations: Vec<_> = match &explored.violation {
        Some(_) if args.publish.has_baseline() => kinds.runs(),
        first => first.iter().map(|run| &**run).collect(),
    };
    let mut evidence = Vec::new();
    for run in violations {
        progress.say("shrinking the violation");
        let write = args
            .witness
            .write(&search.setup, &search.program, run, flags, again);
        evidence.push(write.await?);
    }
    Ok((explored, evidence))
}
