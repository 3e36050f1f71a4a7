//! What naming, logging and counting each request costs, as a share of the purchases per second.
//!
//! Two services with the same parts, one within `observed` and one without, stand
//! side by side, and the same buyers take turns between them, so that whatever else the machine
//! does falls on both; the median of the rounds' ratios is judged. Everybody buys an item of his
//! own, since a lock that all wait for would hide the cost. The log goes to a file, as the binary
//! writes it. Clients, service and database share the machine, so a request's cost is a share of
//! all that a purchase takes on it. `BENCH_SECONDS`, `BENCH_ROUNDS` and `BENCH_BUYERS` set the size.

use std::error::Error;
use std::fs::File;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::setting;
use futures::future::try_join_all;
use purchase_service::Config;
use purchase_service::admission::Admission;
use purchase_service::http::router;
use purchase_service::locked::LockedPurchase;
use purchase_service::log::Log;
use purchase_service::metrics::Metrics;
use purchase_service::observe::observed;
use purchase_service::server::{Limits, bind, serve};
use purchase_service::shop::Shop;
use rowlock::client::{Client, Clock};
use rowlock::database::Inspector;
use rowlock_postgres::{Provider, Server, Settings};
use rowlock_shop::history::Request;
use sqlx::postgres::PgPoolOptions;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// More than can be sold in any run.
const STOCK: i64 = 1_000_000_000;
const PATIENCE: Duration = Duration::from_secs(60);
/// What must be left of the rate.
const AT_LEAST: f64 = 0.97;

fn main() -> Result<ExitCode> {
    // `cargo test --benches` only wants to know that it runs.
    let is_trial = !std::env::args().any(|argument| argument == "--bench");
    let seconds = setting("BENCH_SECONDS", if is_trial { 1 } else { 3 })?;
    let rounds = setting("BENCH_ROUNDS", if is_trial { 1 } else { 9 })?;
    let buyers = setting("BENCH_BUYERS", 64)?;
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/observation.log");
    let log = Log::start(File::create(path)?, false);
    let runtime = tokio::runtime::Runtime::new()?;
    let settings = Settings {
        provider: Provider::Local,
        durable: true,
        ..Settings::from_env()
    };
    let server = runtime.block_on(Server::start(&settings))?;
    let (bare, seen) = runtime.block_on(async {
        let bare = start(&server, buyers, false).await?;
        Ok::<_, Box<dyn Error>>((bare, start(&server, buyers, true).await?))
    })?;
    let sell = |address| runtime.block_on(sell(address, buyers, seconds));
    let mut ratios = Vec::new();
    let mut rates = Vec::new();
    for _ in 0..rounds {
        // Between two bare runs, so that a drift of the machine's speed cancels out.
        let before = sell(bare)?;
        let observed = sell(seen)?;
        let without = (before + sell(bare)?) / 2.0;
        rates.push(without);
        ratios.push(observed / without);
    }
    let ratio = median(&mut ratios);
    let is_reached = ratio >= AT_LEAST;
    println!(
        "{buyers} buyers, an item each: {:.0}/s; {ratio:.3} of it with log and metrics \
         ({:.3} to {:.3}; at least {AT_LEAST}: {})",
        median(&mut rates),
        ratios.first().copied().unwrap_or_default(),
        ratios.last().copied().unwrap_or_default(),
        if is_reached { "reached" } else { "missed" },
    );
    let (lost, bytes) = (log.lost(), std::fs::metadata(path)?.len());
    println!("{bytes} bytes of log, {lost} lines lost");
    Ok(if is_reached || is_trial {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A service on a database of its own, with a wallet and an item for each buyer.
async fn start(server: &Server, buyers: u32, is_observed: bool) -> Result<SocketAddr> {
    let name = if is_observed { "observed" } else { "bare" };
    let database = server.create_database(name).await?;
    let inspector = Inspector::open_shop(database.options()).await?;
    let shop = (1..=i64::from(buyers)).fold(rowlock_shop::rows::Shop::default(), |shop, id| {
        shop.item(id, 1, STOCK).wallet(id, STOCK)
    });
    inspector.seed(&shop).await?;
    inspector.close().await;

    let config = Config {
        database_url: database.url(),
        ..Config::default()
    };
    let options = config.session_options()?;
    let purchases = PgPoolOptions::new()
        .max_connections(config.pool_size)
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await?;
    let reads = PgPoolOptions::new().connect_lazy_with(options);
    let transaction_timeout = Duration::from_millis(config.transaction_timeout_ms);
    let purchaser = Arc::new(LockedPurchase::new(
        purchases.clone(),
        transaction_timeout,
        NonZeroUsize::MIN,
    ));
    let admission = Arc::new(Admission::new(purchaser, config.max_waiting));
    let metrics = Metrics::new(Arc::clone(&admission), purchases, reads.clone());
    let metrics = Arc::new(metrics);
    let routes = router(Shop::new(&config, admission, reads, Arc::clone(&metrics)));
    let routes = if is_observed {
        observed(routes, metrics)
    } else {
        routes
    };
    let limits = Limits {
        idle_timeout: PATIENCE,
        shutdown_timeout: PATIENCE,
    };
    let listener = bind("127.0.0.1", 0).await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(listener, routes, limits, std::future::pending()));
    Ok(address)
}

/// Lets `buyers` buy again and again, and says how many purchases a second were acknowledged.
async fn sell(address: SocketAddr, buyers: u32, seconds: u32) -> Result<f64> {
    let clock = Clock::start();
    let clients = (0..buyers).map(|_| Client::connect(address, clock, PATIENCE));
    let clients = try_join_all(clients).await?;
    let began = Instant::now();
    let end = began + Duration::from_secs(seconds.into());
    let buying = (1..).zip(clients).map(|(id, mut client)| async move {
        let mut bought = 0_u32;
        while Instant::now() < end {
            let operation = client.purchase(Request::new(id, id)).await;
            if operation.status != Some(200) {
                return Err(operation.describe());
            }
            bought += 1;
        }
        Ok(bought)
    });
    let bought: u32 = try_join_all(buying).await?.iter().sum();
    Ok(f64::from(bought) / began.elapsed().as_secs_f64())
}

/// The one in the middle, after sorting them.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
