//! One service, and those who buy from it.

use std::fmt;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use purchase_service::MIGRATOR;
use rowlock::client::{Client, Clock};
use rowlock::shop::BuildPurchaser;
use rowlock::target::{Target, TargetSpec};
use rowlock_postgres::{Database, Server};
use rowlock_shop::history::Request;
use sqlx::PgPool;

use crate::Result;

/// More than can be sold in any run.
const STOCK: i64 = 1_000_000_000;
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    p50: Duration,
    p99: Duration,
    /// Of all answers, the share that said "come again".
    conflicts: f64,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// The argument by which this program becomes our service, configured by its environment.
pub(crate) const SERVE: &str = "target";

/// Who sells.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Service {
    /// Ours as it is by default, in a process of its own.
    Batching,
    /// The same with a transaction for each purchase.
    Plain,
    /// One that is right in its own way, in this process.
    Lawful(BuildPurchaser),
}

impl Service {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::Batching => "ours",
            Service::Plain => "ours, MAX_BATCH=1",
            Service::Lawful(service) => service.name,
        }
    }

    async fn start(self, url: &str) -> Result<Target> {
        let program = std::env::current_exe()?;
        let (spec, env) = match self {
            Service::Batching => (rowlock::shop::ours(&program, 1), vec![]),
            Service::Plain => (
                rowlock::shop::ours(&program, 1),
                vec![("MAX_BATCH".to_owned(), "1".to_owned())],
            ),
            Service::Lawful(service) => (TargetSpec::in_process(service), vec![]),
        };
        Ok(Target::start(&spec, url, &env).await?)
    }
}

/// How many buy, and from how many items each takes the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) buyers: u32,
    pub(crate) items: u32,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Load { buyers, items } = self;
        f.pad(&format!("{buyers} buyers, {items} items"))
    }
}

/// A database with a shop of so many wallets and items.
pub(crate) async fn open_shop(database: &Database, wallets: u32, items: u32) -> Result<PgPool> {
    let pool = PgPool::connect_with(database.options()).await?;
    MIGRATOR.run(&pool).await?;
    for fill in [
        "insert into item select id, '', 1, $2 from generate_series(1, $1) id",
        "insert into wallet select id, $2 from generate_series(1, $1) id",
    ] {
        let rows = if fill.contains("wallet") {
            wallets
        } else {
            items
        };
        sqlx::query(fill)
            .bind(i64::from(rows))
            .bind(STOCK)
            .execute(&pool)
            .await?;
    }
    sqlx::raw_sql("vacuum analyze").execute(&pool).await?;
    Ok(pool)
}

/// Lets `load.buyers` buy again and again, each going round its own way through the items.
pub(crate) async fn sell(
    server: &Server,
    service: Service,
    Load { buyers, items }: Load,
    seconds: u32,
) -> Result<Rate> {
    let database = server.create_database("bench").await?;
    let pool = open_shop(&database, buyers, items).await?;
    let target = service.start(&database.url()).await?;

    let clock = Clock::start();
    let clients = (0..buyers).map(|_| Client::connect(target.address(0), clock, PATIENCE));
    let clients = try_join_all(clients).await?;
    let end = Instant::now() + Duration::from_secs(seconds.into());
    let buying = (0_i64..)
        .zip(clients)
        .map(|(index, mut client)| async move {
            let (mut latencies, mut conflicts) = (Vec::new(), 0);
            let mut item = index * i64::from(items / buyers.min(items));
            while Instant::now() < end {
                item = (item + 1) % i64::from(items);
                let request = Request::new(index + 1, item + 1);
                let asked = Instant::now();
                let operation = client.purchase(request).await;
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

    let gone = "select sum($1 - stock)::bigint from item";
    let (gone,): (i64,) = sqlx::query_as(gone).bind(STOCK).fetch_one(&pool).await?;
    if usize::try_from(gone)? != latencies.len() {
        return Err(format!("{} sold, and {gone} units gone", latencies.len()).into());
    }
    pool.close().await;
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
