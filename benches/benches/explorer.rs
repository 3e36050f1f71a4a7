//! How many schedules the explorer runs per second, and where its time goes.
//!
//! The same random search of one program again and again, so that every round makes
//! the same runs; the median round is judged, and its time is split into what the workers spent
//! on PostgreSQL's answers, on asking who waits, on the application, on putting rows back and on
//! judging. Not by criterion: what is measured is a rate, not the time of a call.
//! `BENCH_SCHEDULES` and `BENCH_ROUNDS` set the size.
//!
//! Then the same service in a process of its own, once judged as the shop and once by
//! `examples/contracts/shop.toml`: the ratio of the two rates is what a contract costs. This program is
//! that service when it is started with `service`.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use benches::setting;
use purchase_service::{Config, Service};
use rowlock::contract::{ContractSubject, programs};
use rowlock::explorer::search::Budget;
use rowlock::explorer::strategies::Random;
use rowlock::explorer::{Bounds, Exploration, Search, Setup};
use rowlock::shop::{OURS, Shop};
use rowlock::subject::Subject;
use rowlock::target::{Described, TargetSpec};
use rowlock_contract::Contract;
use rowlock_core::program::Program;
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::{Provider, Server, Settings};
use rowlock_shop::program;

const WORKERS: usize = 2;
/// Schedules per second with two buyers and two workers.
const AT_LEAST: f64 = 200.0;
/// Of the shop's schedules per second those by contract.
const AT_LEAST_BY_CONTRACT: f64 = 0.5;
/// The argument that makes this program the service.
const SERVICE: &str = "service";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some(SERVICE) {
        return serve();
    }
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
        let program = shop_program(buyers)?;
        let setup = setup(&server, Shop, TargetSpec::in_process(OURS));
        let search = search(setup, program, schedules);
        let median = runtime.block_on(median(&search, rounds))?;
        print(&format!("{buyers} buyers"), &median);
        is_fast &= buyers > 2 || is_trial || rate(&median) >= AT_LEAST;
    }
    let itself = std::env::current_exe()?;
    let target = TargetSpec::command(&format!("'{}' {SERVICE}", itself.display()), 1)?;
    let shop = search(setup(&server, Shop, target), shop_program(2)?, schedules);
    let shop = runtime.block_on(median(&shop, rounds))?;
    print("2 buyers, in a process of its own", &shop);
    let contract = runtime.block_on(by_contract(&server, &itself, schedules))?;
    let contract = runtime.block_on(median(&contract, rounds))?;
    print("the same by a contract", &contract);
    let ratio = rate(&contract) / rate(&shop);
    println!("by a contract: {ratio:.2} of the shop's schedules per second");
    is_fast &= is_trial || ratio >= AT_LEAST_BY_CONTRACT;
    Ok(if is_fast {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The service, until it is ended.
fn serve() -> Result<ExitCode, Box<dyn Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let service = Service::start(&Config::from_env()?).await?;
        service.serve(std::future::pending()).await;
        Ok(ExitCode::SUCCESS)
    })
}

fn shop_program(buyers: usize) -> Result<rowlock_shop::program::Program, Box<dyn Error>> {
    let template = program::find("one-item").ok_or("no such program")?;
    Ok(template.program(buyers))
}

fn setup<S: Subject>(server: &Arc<Server>, subject: S, target: TargetSpec) -> Setup<S> {
    Setup {
        subject,
        target_env: vec![("MAX_BATCH".to_owned(), "1".to_owned())],
        server: Arc::clone(server),
        target,
        bounds: Bounds::default(),
        trace: None,
    }
}

fn search<S: Subject>(setup: Setup<S>, program: S::Program, schedules: u64) -> Search<S> {
    Search {
        setup,
        program,
        workers: WORKERS,
        budget: Budget::Schedules(schedules),
        keep_going: false,
    }
}

/// The search of the shop's contract, with `itself` as the service.
async fn by_contract(
    server: &Arc<Server>,
    itself: &Path,
    schedules: u64,
) -> Result<Search<ContractSubject>, Box<dyn Error>> {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/contracts/shop.toml");
    let command = "$${SHOP:-purchase-service}";
    let text = std::fs::read_to_string(shop)?;
    let text = text.replace(command, &format!("{} {SERVICE}", itself.display()));
    // Where it lies the service runs.
    let file = std::env::temp_dir().join(format!("rowlock-bench-{}.toml", std::process::id()));
    std::fs::write(&file, text)?;
    let read = Contract::read(&file);
    std::fs::remove_file(&file)?;
    let contract = Arc::new(read?);
    let program = programs(&contract).into_iter();
    let program = program
        .into_iter()
        .find(|program| program.name == "one-item");
    let described = Described::new(contract);
    let subject = ContractSubject::new(described.clone(), server).await?;
    let setup = setup(server, subject, TargetSpec::Described(described));
    Ok(search(setup, program.ok_or("no such program")?, schedules))
}

/// The median of so many rounds.
async fn median<S: Subject>(
    search: &Search<S>,
    rounds: u64,
) -> Result<Exploration<S::Program>, Box<dyn Error>> {
    let mut all = Vec::new();
    for _ in 0..rounds {
        let strategy = &mut Random::new(Seed(1));
        let explored = search.run(strategy, |_| {}).await?;
        let is_whole =
            matches!(search.budget, Budget::Schedules(most) if explored.schedules == most);
        if !is_whole || explored.verdict() == Verdict::Violation {
            return Err(format!("not what is measured: {explored:?}").into());
        }
        all.push(explored);
    }
    all.sort_by_key(|explored| explored.elapsed);
    Ok(all.swap_remove(all.len() / 2))
}

fn rate(explored: &Exploration<impl Program>) -> f64 {
    explored.schedules as f64 / explored.elapsed.as_secs_f64()
}

fn print(what: &str, explored: &Exploration<impl Program>) {
    let (place, conductor) = explored.spent;
    let runs = place.runs as f64;
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / runs;
    println!(
        "{what}, {WORKERS} workers: {:.0} schedules/s",
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
