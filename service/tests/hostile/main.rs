//! The service, as a process of its own, under everything that a hostile client can send.
//!
//! While slow clients hold connections, bodies stop half-way, nonsense is chunked and pipelined,
//! and random requests try the strict reader, an honest buyer is served in time, the process
//! stays small, and no request that is not exactly an order buys anything. Afterwards nothing is
//! left open.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../common/mod.rs"]
mod common;

mod attackers;
mod buyer;
mod nonsense;
mod random;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::Shop;
use common::database::fresh_database;
use common::process::{Log, command, listening};
use tokio::process::Child;

use self::buyer::Latencies;

const SLOW_CLIENTS: usize = 3_000;
/// Requests that proptest makes up.
const RANDOM: u32 = 10_000;
/// The attack lasts at least this long, and until the random requests are through.
const ATTACK: Duration = Duration::from_secs(8);

/// What an honest buyer waits at most, in 99 of 100 purchases.
const P99: Duration = Duration::from_millis(250);
/// The most memory that the process may ever have had, in KiB.
const MAX_RSS_KIB: u64 = 200 * 1024;

const STOCK: i64 = 1_000_000;
/// Who buys honestly, and what.
const HONEST: (i64, i64) = (1, 1);
/// Whose wallet and which item the random requests name.
const RANDOM_ORDER: (i64, i64) = (2, 2);

/// A process of the service, with little patience for slow clients. Its log is read by nobody.
struct Process {
    child: Child,
    address: SocketAddr,
    _log: Log,
}

impl Process {
    async fn start(database_url: &str) -> Self {
        let variables = [
            ("DATABASE_URL", database_url),
            ("PORT", "0"),
            ("IDLE_TIMEOUT_MS", "3000"),
            ("BODY_TIMEOUT_MS", "1000"),
        ];
        let mut child = command(&variables).spawn().unwrap();
        let (address, log) = listening(&mut child).await;
        Self {
            child,
            address,
            _log: log,
        }
    }

    /// Clients' connections that the service has not closed, or not closed in full (proc(5)).
    fn connections(&self) -> usize {
        const LISTEN: &str = "0A";
        const TIME_WAIT: &str = "06";
        let port = format!(":{:04X}", self.address.port());
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let is_open = |line: &&str| {
            let mut columns = line.split_whitespace().skip(1);
            let (local, _remote, state) = (columns.next(), columns.next(), columns.next());
            local.is_some_and(|local| local.ends_with(&port))
                && ![Some(LISTEN), Some(TIME_WAIT)].contains(&state)
        };
        table.lines().skip(1).filter(is_open).count()
    }

    /// The most memory that it ever had, in KiB (`VmHWM`, proc(5)).
    fn peak_rss_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().unwrap());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.unwrap().trim().split(' ').next().unwrap();
        number.parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_buyer_is_served_amid_hostile_clients_and_nothing_is_left_of_them() {
    purchase_service::server::raise_file_limit();
    let database = fresh_database().await;
    let attacked = Process::start(&database.url).await;
    // On the same machine and database, and left alone: what it takes is not the attack's doing.
    let quiet = Process::start(&database.url).await;
    let shop = Shop::served_elsewhere(attacked.address, database.pool);
    for (user_id, item_id) in [HONEST, RANDOM_ORDER] {
        shop.item(item_id, 1, STOCK).await;
        shop.wallet(user_id, STOCK).await;
    }
    let attack = attackers::start(attacked.address, SLOW_CLIENTS);
    shop.until("the slow clients are connected", async |_| {
        attacked.connections() >= SLOW_CLIENTS
    })
    .await;
    let stop = AtomicBool::new(false);
    let began = Instant::now();
    let (bought_randomly, latencies) = tokio::task::block_in_place(|| {
        thread::scope(|scope| {
            let buyer = scope.spawn(|| buyer::buy(attacked.address, quiet.address, &stop));
            let stop = StopOnDrop(&stop);
            let random = random::send(attacked.address, RANDOM);
            while began.elapsed() < ATTACK && !buyer.is_finished() {
                thread::park_timeout(Duration::from_millis(20));
            }
            drop(stop);
            (random, buyer.join().unwrap())
        })
    });
    let tally = attack.stop().await;

    let rss_kib = attacked.peak_rss_kib();
    let [honest, alone] = latencies.each_ref().map(Latencies::p99);
    println!(
        "{tally}, {RANDOM} random requests of which \
         {bought_randomly} bought, in {:.1} s\n\
         honest buyer: p99 {honest:?}; the same at a service left alone: p99 {alone:?}\n\
         peak memory: {} MiB",
        began.elapsed().as_secs_f64(),
        rss_kib / 1024
    );
    assert!(tally.is_substantial(), "too little was tried: {tally}");
    assert!(rss_kib < MAX_RSS_KIB, "{rss_kib} KiB of memory");
    // Where the machine itself is slow, that is no fault of the service's.
    assert!(
        honest < P99 + alone,
        "honest buyer: p99 {honest:?}, {alone:?} alone"
    );

    shop.until("no client's connection is left open", async |_| {
        attacked.connections() == 0
    })
    .await;
    shop.assert_sound(2 * STOCK, 2 * STOCK).await;
    let purchases = shop.number("select count(*) from purchase").await;
    let acknowledged = latencies_count(&latencies) + bought_randomly;
    assert_eq!(
        purchases as usize, acknowledged,
        "only what was acknowledged was bought"
    );
    shop.assert_pool_is_full_size(HONEST.0).await;
}

/// Stops the buyer, also where the random requests have failed: or nobody would hear of it.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn latencies_count(latencies: &[Latencies; 2]) -> usize {
    latencies.iter().map(Latencies::count).sum()
}
