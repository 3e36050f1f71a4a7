//! Purchases per second under contention: everybody wants one item, or each an item of his own.
//!
//! A number of buyers who buy again as soon as they are answered, each over an open
//! connection, on a server whose commits wait for the disk; first all of one item, then each of
//! his own, and the ratio of the two is what the row's lock costs. Our service and the harness's
//! lawful ones take turns in one run, so that they can be compared. Clients and service share a
//! process, so the rates are a lower bound. Only acknowledged purchases count, and a run only if
//! exactly those units are gone; whoever is told to come again (409) does, which costs the service
//! work and is shown. Not by criterion: what is measured is a rate under load.
//! `BENCH_SECONDS`, `BENCH_ROUNDS` and `BENCH_BUYERS` set the size.

use std::error::Error;
use std::time::{Duration, Instant};

use benches::setting;
use futures::future::try_join_all;
use rowlock::client::{Client, Clock};
use rowlock::database::Inspector;
use rowlock::mutants::lawful::{LAWFUL, Lawful};
use rowlock::target::{BuildPurchaser, OURS, OnConflict, Target, TargetSpec};
use rowlock_postgres::{Provider, Server, Settings};
use rowlock_shop::history::Request;
use rowlock_shop::rows::Shop;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// More than can be sold in any run.
const STOCK: i64 = 1_000_000_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    // `cargo test --benches` only wants to know that it runs.
    let is_trial = !std::env::args().any(|argument| argument == "--bench");
    let seconds = setting("BENCH_SECONDS", if is_trial { 1 } else { 3 })?;
    let rounds = setting("BENCH_ROUNDS", if is_trial { 1 } else { 5 })?;
    let buyers = setting("BENCH_BUYERS", 64)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let settings = Settings {
        provider: Provider::Local,
        durable: true,
        ..Settings::from_env()
    };
    let server = runtime.block_on(Server::start(&settings))?;
    // A rate in which most give way says nothing of what a purchase costs.
    let lawful = LAWFUL.iter().map(Lawful::purchaser);
    let decide = lawful.filter(|service| service.on_conflict == OnConflict::TriesAgain);
    let services = [OURS].into_iter().chain(decide);
    let services: Vec<_> = services
        .take(if is_trial { 1 } else { usize::MAX })
        .collect();

    let mut all: Vec<Vec<[Rate; 2]>> = vec![Vec::new(); services.len()];
    for _ in 0..rounds {
        for (service, rates) in services.iter().zip(&mut all) {
            let load = async |items| sell(&server, *service, buyers, items, seconds).await;
            rates.push(runtime.block_on(async {
                Ok::<_, Box<dyn Error>>([load(1).await?, load(buyers).await?])
            })?);
        }
    }
    println!("{buyers} buyers, the median of {rounds} rounds of {seconds} s");
    for (service, rates) in services.iter().zip(all) {
        let median = |items: usize| {
            let mut of: Vec<_> = rates.iter().map(|rate| rate[items]).collect();
            of.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
            of[of.len() / 2]
        };
        let (hot, spread) = (median(0), median(1));
        println!(
            "{:<20} one item {hot}   an item each {spread}   ratio {:.2}",
            service.name,
            hot.per_second / spread.per_second
        );
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Rate {
    per_second: f64,
    p50: Duration,
    p99: Duration,
    /// Of all answers, the share that said "come again".
    conflicts: f64,
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let (p50, p99) = (ms(self.p50), ms(self.p99));
        write!(
            f,
            "{:>6.0}/s, p50 {p50:>5.1} ms, p99 {p99:>6.1} ms, {:>2.0} % conflicts",
            self.per_second,
            self.conflicts * 100.0
        )
    }
}

/// Lets `buyers` buy again and again, round and round of `items` items.
async fn sell(
    server: &Server,
    service: BuildPurchaser,
    buyers: u32,
    items: u32,
    seconds: u32,
) -> Result<Rate> {
    let database = server.create_database("bench").await?;
    let target = Target::start(&TargetSpec::InProcess(service), &database.url(), &[]).await?;
    let inspector = Inspector::open_shop(database.options()).await?;
    let ids = 1..=i64::from(buyers.max(items));
    let shop = ids.fold(Shop::default(), |shop, id| {
        shop.item(id, 1, STOCK).wallet(id, STOCK)
    });
    inspector.seed(&shop).await?;

    let clock = Clock::start();
    let clients = (0..buyers).map(|_| Client::connect(target.address(0), clock, PATIENCE));
    let clients = try_join_all(clients).await?;
    let end = Instant::now() + Duration::from_secs(seconds.into());
    let buying = (0..).zip(clients).map(|(index, mut client)| async move {
        let request = Request::new(index + 1, index % i64::from(items) + 1);
        let (mut latencies, mut conflicts) = (Vec::new(), 0);
        while Instant::now() < end {
            let asked = Instant::now();
            let operation = client.purchase(request.clone()).await;
            match operation.status {
                Some(200) => latencies.push(asked.elapsed()),
                Some(409) => conflicts += 1,
                _ => return Err(operation.describe()),
            }
        }
        Ok((latencies, conflicts))
    });
    let began = Instant::now();
    let bought = try_join_all(buying).await?;
    let elapsed = began.elapsed();
    let (latencies, conflicts): (Vec<_>, Vec<u64>) = bought.into_iter().unzip();
    let mut latencies = latencies.concat();
    let conflicts = conflicts.iter().sum::<u64>() as f64;

    let left = inspector.read(false).await?.shop;
    let gone: i64 = left.items.values().map(|item| STOCK - item.stock).sum();
    if usize::try_from(gone)? != latencies.len() {
        return Err(format!("{} sold, and {gone} units gone", latencies.len()).into());
    }
    inspector.close().await;
    target.stop().await;
    server.drop_database(&database).await?;
    if latencies.is_empty() {
        return Err("nothing was sold".into());
    }
    latencies.sort_unstable();
    let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize];
    Ok(Rate {
        per_second: latencies.len() as f64 / elapsed.as_secs_f64(),
        p50: at(0.5),
        p99: at(0.99),
        conflicts: conflicts / (conflicts + latencies.len() as f64),
    })
}
