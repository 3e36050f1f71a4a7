//! How many schedules the explorer runs per second, and where its time goes.
//!
//! The same random search of one program again and again, so that every round makes
//! the same runs; the median round is judged, and its time is split into what the workers spent
//! on PostgreSQL's answers, on asking who waits, on the application, on putting rows back and on
//! judging. Not by criterion: what is measured is a rate, not the time of a call.
//! `BENCH_SCHEDULES` and `BENCH_ROUNDS` set the size.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use benches::setting;
use rowlock::explorer::search::Budget;
use rowlock::explorer::strategies::Random;
use rowlock::explorer::{Bounds, Exploration, Search, Setup};
use rowlock::shop::OURS;
use rowlock::shop::Shop;
use rowlock::target::TargetSpec;
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::{Provider, Server, Settings};
use rowlock_shop::program;

const WORKERS: usize = 2;
/// Schedules per second with two buyers and two workers.
const AT_LEAST: f64 = 200.0;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // `cargo test --benches` only wants to know that it runs.
    let is_trial = !std::env::args().any(|argument| argument == "--bench");
    let schedules = setting("BENCH_SCHEDULES", if is_trial { 20 } else { 1_000 })?;
    let rounds = setting("BENCH_ROUNDS", if is_trial { 1 } else { 5 })?;
    let runtime = tokio::runtime::Runtime::new()?;
    let settings = Settings {
        provider: Provider::Local,
        parameters: vec![("deadlock_timeout".to_owned(), "1h".to_owned())],
        ..Settings::from_env()
    };
    let server = Arc::new(runtime.block_on(Server::start(&settings))?);
    let mut is_fast = true;
    for buyers in [2, 3] {
        let search = search(&server, buyers, schedules)?;
        let mut all = Vec::new();
        for _ in 0..rounds {
            let strategy = &mut Random::new(Seed(1));
            let explored = runtime.block_on(search.run(strategy, |_| {}))?;
            if explored.schedules != schedules || explored.verdict() == Verdict::Violation {
                return Err(format!("not what is measured: {explored:?}").into());
            }
            all.push(explored);
        }
        all.sort_by_key(|explored| explored.elapsed);
        let median = &all[all.len() / 2];
        print(buyers, median);
        is_fast &= buyers > 2 || is_trial || rate(median) >= AT_LEAST;
    }
    Ok(if is_fast {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn search(server: &Arc<Server>, buyers: usize, schedules: u64) -> Result<Search, Box<dyn Error>> {
    let template = program::find("one-item").ok_or("no such program")?;
    Ok(Search {
        setup: Setup {
            subject: Shop,
            target_env: Vec::new(),
            server: Arc::clone(server),
            target: TargetSpec::in_process(OURS),
            bounds: Bounds::default(),
            trace: None,
        },
        program: template.program(buyers),
        workers: WORKERS,
        budget: Budget::Schedules(schedules),
        keep_going: false,
    })
}

fn rate(explored: &Exploration) -> f64 {
    explored.schedules as f64 / explored.elapsed.as_secs_f64()
}

fn print(buyers: usize, explored: &Exploration) {
    let (place, conductor) = explored.spent;
    let runs = place.runs as f64;
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / runs;
    println!(
        "{buyers} buyers, {WORKERS} workers: {:.0} schedules/s",
        rate(explored)
    );
    println!(
        "  per schedule, {:.1} steps:",
        conductor.steps as f64 / runs
    );
    println!(
        "    {:7.0} µs  PostgreSQL's answers",
        each(conductor.server - conductor.polls)
    );
    println!(
        "    {:7.0} µs  asking who waits, {:.1} times",
        each(conductor.polls),
        conductor.poll_count as f64 / runs
    );
    println!(
        "    {:7.0} µs  the application, until it is quiet",
        each(conductor.application)
    );
    println!("    {:7.0} µs  putting rows back", each(place.reset));
    println!("    {:7.0} µs  reading and judging", each(place.judge));
    println!("  {} runs made again", place.repeats);
}
