//! Purchases per second under contention: everybody wants one item, or each one of many.
//!
//! A number of buyers who buy again as soon as they are answered, each over an open
//! connection, on a server whose commits wait for the disk. Our service with batches, our service
//! with a transaction for each purchase, the harness's lawful ones, and pgbench on the same server
//! take turns in one run, so that they can be compared. Clients and service share a
//! process, so the rates are a lower bound. Only acknowledged purchases count, and a run only if
//! exactly those units are gone; whoever is told to come again (409) does, which costs the service
//! work and is shown. Not by criterion: what is measured is a rate under load.
//! `BENCH_SECONDS`, `BENCH_ROUNDS`, `BENCH_BUYERS` and `BENCH_CROWDS=no` set the size.

mod load;
mod pgbench;

use std::error::Error;
use std::fmt;

use benches::setting;
use purchase_service::Config;
use rowlock::mutants::lawful::{LAWFUL, Lawful};
use rowlock::target::OnConflict;
use rowlock_postgres::{Provider, Server, Settings};

use load::{Load, Rate, Service, sell};
use pgbench::Purchase;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Items over which purchases are spread where they do not meet.
const MANY: u32 = 10_000;

fn main() -> Result<()> {
    // `cargo test --benches` only wants to know that it runs.
    let is_trial = !std::env::args().any(|argument| argument == "--bench");
    let seconds = setting("BENCH_SECONDS", if is_trial { 1 } else { 3 })?;
    let rounds = setting("BENCH_ROUNDS", if is_trial { 1 } else { 5 })?;
    let buyers = setting("BENCH_BUYERS", 64)?;
    let runtime = tokio::runtime::Runtime::new()?;
    if std::env::args().nth(1).as_deref() == Some(load::SERVE) {
        let config = Config::from_env()?;
        return Ok(runtime.block_on(purchase_service::run(&config, std::future::pending()))?);
    }
    let settings = Settings {
        provider: Provider::Local,
        durable: true,
        ..Settings::from_env()
    };
    let server = runtime.block_on(Server::start(&settings))?;
    let mut scenes = scenes(buyers, is_trial);
    let mut pgbench: [Vec<(f64, u32)>; 2] = Default::default();
    for round in 0..rounds {
        for scene in &mut scenes {
            let load = sell(&server, scene.service, scene.load, seconds);
            let rate = runtime.block_on(load);
            let rate = rate.map_err(|error| format!("{scene}: {error}"))?;
            eprintln!("round {} of {rounds}: {scene} {rate}", round + 1);
            scene.rates.push(rate);
        }
        if is_trial {
            continue;
        }
        eprintln!("round {} of {rounds}: pgbench", round + 1);
        let [hot, spread] = runtime.block_on(compare(&server, seconds))?;
        pgbench[0].extend(hot);
        pgbench[1].extend(spread);
    }
    println!("medians of {rounds} rounds of {seconds} s");
    for scene in &scenes {
        println!("{scene} {}", scene.rate());
    }
    report(&scenes, pgbench, buyers);
    Ok(())
}

/// A service under a load, again and again.
struct Scene {
    service: Service,
    load: Load,
    rates: Vec<Rate>,
}

impl Scene {
    fn new(service: Service, buyers: u32, items: u32) -> Self {
        Scene {
            service,
            load: Load { buyers, items },
            rates: Vec::new(),
        }
    }

    /// The median.
    fn rate(&self) -> Rate {
        let mut rates = self.rates.clone();
        rates.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        rates[rates.len() / 2]
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<20} {:<26}", self.service.name(), self.load)
    }
}

fn scenes(buyers: u32, is_trial: bool) -> Vec<Scene> {
    let ours = [Service::Batching, Service::Plain];
    let mut scenes = Vec::from(ours.map(|service| Scene::new(service, buyers, 1)));
    if is_trial {
        return scenes;
    }
    for service in ours {
        scenes.push(Scene::new(service, buyers, MANY));
        scenes.push(Scene::new(service, 1, 1));
    }
    if std::env::var("BENCH_CROWDS").as_deref() != Ok("no") {
        scenes.push(Scene::new(Service::Batching, 1_000, 1));
        scenes.push(Scene::new(Service::Batching, 10_000, 1));
    }
    // A rate in which most give way says nothing of what a purchase costs.
    let lawful = LAWFUL.iter().map(Lawful::purchaser);
    let decide = lawful.filter(|service| service.on_conflict == OnConflict::TriesAgain);
    scenes.extend(decide.map(|service| Scene::new(Service::Lawful(service), buyers, 1)));
    scenes
}

/// What pgbench reaches with one item, and spread over many.
async fn compare(server: &Server, seconds: u32) -> Result<[Option<(f64, u32)>; 2]> {
    let database = server.create_database("pgbench").await?;
    let pool = load::open_shop(&database, MANY, MANY).await?;
    pgbench::make_procedure(&pool).await?;
    pool.close().await;
    let hot = pgbench::best(&database, Purchase::Procedure, MANY, 1, seconds)?;
    let spread = pgbench::best(&database, Purchase::Statements, MANY, MANY, seconds)?;
    server.drop_database(&database).await?;
    Ok([hot, spread])
}

fn report(scenes: &[Scene], pgbench: [Vec<(f64, u32)>; 2], buyers: u32) {
    let rate = |service: Service, buyers, items| {
        let load = Load { buyers, items };
        let is_asked =
            |scene: &&Scene| scene.service.name() == service.name() && scene.load == load;
        Some(scenes.iter().find(is_asked)?.rate().per_second)
    };
    let [hot, spread] = pgbench.map(|mut rates| {
        rates.sort_by(|a, b| a.0.total_cmp(&b.0));
        rates.get(rates.len() / 2).copied()
    });
    let best = |name: &str, rate: Option<(f64, u32)>| match rate {
        Some((rate, clients)) => println!("pgbench, {name}: {rate:.0}/s, at {clients} clients"),
        None => println!("pgbench, {name}: not run"),
    };
    best("one item, a procedure a purchase", hot);
    best("many items, statement by statement", spread);
    let ratio = |what: &str, of: Option<f64>, to: Option<f64>, at_least: f64| {
        let Some(ratio) = of.zip(to).map(|(of, to)| of / to) else {
            return;
        };
        let verdict = if ratio < at_least {
            "missed"
        } else {
            "reached"
        };
        println!("{what}: {ratio:.2} (at least {at_least}: {verdict})");
    };
    let batching = rate(Service::Batching, buyers, 1);
    let hot = hot.map(|(rate, _)| rate);
    let spread = spread.map(|(rate, _)| rate);
    ratio(
        "one item, batches to none",
        batching,
        rate(Service::Plain, buyers, 1),
        4.0,
    );
    ratio("one item, batches to pgbench", batching, hot, 1.5);
    ratio(
        "1,000 buyers to 64",
        rate(Service::Batching, 1_000, 1),
        batching,
        0.9,
    );
    ratio(
        "10,000 buyers to 64",
        rate(Service::Batching, 10_000, 1),
        batching,
        0.9,
    );
    ratio(
        "many items, to pgbench",
        rate(Service::Batching, buyers, MANY),
        spread,
        0.65,
    );
    ratio(
        "one buyer, batches to none",
        rate(Service::Batching, 1, 1),
        rate(Service::Plain, 1, 1),
        1.0,
    );
}
