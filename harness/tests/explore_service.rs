//! Services under the explorer: right ones pass in every interleaving, wrong ones are found at once.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rowlock::explorer::search::Budget;
use rowlock::explorer::sharing::Sharing;
use rowlock::explorer::strategies::{Bounded, Dfs, Exhaustive, Random};
use rowlock::explorer::{Bounds, Event, Exploration, RequestIndex, Run, Search, Setup, Strategy};
use rowlock::mutants::{self, Detector, lawful};
use rowlock::shop::Shop;
use rowlock::shop::{BuildPurchaser, OURS};
use rowlock::target::{Keys, OnConflict, TargetSpec};
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::{Provider, Server, Settings};
use rowlock_shop::program;
use sqlx::ConnectOptions;
use tokio::sync::OnceCell;

/// One server for all tests.
async fn server() -> Arc<Server> {
    static SERVER: OnceCell<Arc<Server>> = OnceCell::const_new();
    Arc::clone(SERVER.get_or_init(server_of_its_own).await)
}

/// A server that leaves deadlocks to the explorer.
async fn server_of_its_own() -> Arc<Server> {
    let settings = Settings {
        provider: Provider::Local,
        parameters: vec![("deadlock_timeout".to_owned(), "1h".to_owned())],
        ..Settings::from_env()
    };
    Arc::new(Server::start(&settings).await.unwrap())
}

fn search(server: &Arc<Server>, target: TargetSpec, name: &str, buyers: usize) -> Search {
    Search {
        setup: Setup {
            subject: Shop,
            target_env: Vec::new(),
            server: Arc::clone(server),
            target,
            bounds: Bounds::default(),
            trace: None,
        },
        program: program::find(name).unwrap().program(buyers),
        workers: 2,
        budget: Budget::Unlimited,
        keep_going: false,
    }
}

fn ours() -> TargetSpec {
    TargetSpec::in_process(OURS)
}

fn mutant(name: &str) -> TargetSpec {
    TargetSpec::in_process(mutants::find(name).unwrap().purchaser())
}

async fn run(search: &Search, strategy: &mut dyn Strategy) -> Exploration {
    search.run(strategy, |_| {}).await.unwrap()
}

/// Every run's schedule and transcript, as they would be written down.
async fn record(search: &Search, strategy: &mut dyn Strategy) -> Vec<String> {
    let mut all = Vec::new();
    let write = |run: &Run| {
        let transcript = serde_json::to_string(&run.execution.transcript).unwrap();
        let history = serde_json::to_string(&run.assessment.history).unwrap();
        all.push(format!("{} {transcript} {history}", run.execution.schedule));
    };
    search.run(strategy, write).await.unwrap();
    all
}

#[tokio::test]
async fn our_service_is_valid_in_every_interleaving_of_two_buyers() {
    let server = server().await;
    let search = search(&server, ours(), "one-item", 2);
    let all = run(&search, &mut Exhaustive::default()).await;
    assert_eq!(all.verdict(), Verdict::Valid, "{all:?}");
    // The second buyer arrives at one of five moments of the first one's five steps, either way
    // round.
    assert_eq!((all.schedules, all.distinct), (10, 10));
    let reduced = run(&search, &mut Dfs::default()).await;
    assert_eq!(reduced.verdict(), Verdict::Valid, "{reduced:?}");
    assert!(reduced.schedules < all.schedules);
}

/// Orders of one item that wait in a process share a transaction: they meet those of the other
/// process in the database, and those of their own before it.
#[tokio::test]
async fn our_service_with_batches_is_valid_and_stays_under_control() {
    let server = server().await;
    for (replicas, name, buyers) in [
        (1, "one-item", 2),
        (1, "repeated-key", 2),
        (1, "repeated-key", 3),
        (1, "one-wallet-two-items", 2),
        (1, "one-wallet-two-items", 3),
        (1, "crosswise", 2),
        (1, "crosswise", 3),
        (2, "one-item", 3),
    ] {
        let target = rowlock::shop::ours(Path::new(env!("CARGO_BIN_EXE_rowlock")), replicas);
        let search = search(&server, target, name, buyers);
        let all = run(&search, &mut Dfs::default()).await;
        assert_eq!(all.verdict(), Verdict::Valid, "{replicas} {name}: {all:?}");
        assert!(all.lost.is_empty(), "{replicas} {name}: {:?}", all.lost);
    }
}

#[tokio::test]
async fn a_step_of_a_batch_is_of_everybody_in_it() {
    let server = server().await;
    let target = TargetSpec::in_process(lawful::find("batching").unwrap().purchaser());
    let search = search(&server, target, "one-item", 3);
    let [a, b, c] = [0, 1, 2].map(RequestIndex);
    let mut shared = Vec::new();
    let note = |run: &Run| {
        let transcript = &run.execution.transcript;
        let sharing = Sharing::of(transcript);
        for (place, event) in transcript.events.iter().enumerate() {
            if let Event::Delivered { request, .. } = event {
                shared.push((*request, sharing.beside(place).to_vec()));
            }
        }
    };
    let all = search.run(&mut Dfs::default(), note).await.unwrap();
    assert_eq!(all.verdict(), Verdict::Valid, "{all:?}");
    let alone = vec![(a, vec![]); 5];
    let together = vec![(b, vec![c]); 5];
    assert_eq!(shared, [alone, together].concat());
}

#[tokio::test]
async fn our_service_is_valid_on_every_program() {
    let server = server().await;
    for template in program::PROGRAMS {
        for buyers in [2, 3] {
            let search = search(&server, ours(), template.name, buyers);
            let all = run(&search, &mut Dfs::default()).await;
            assert_eq!(all.verdict(), Verdict::Valid, "{}: {all:?}", template.name);
            assert!(all.uncontrolled.is_empty(), "{:?}", all.uncontrolled);
        }
    }
}

#[tokio::test]
async fn a_lawful_service_is_valid_in_every_interleaving() {
    let server = server().await;
    for lawful in lawful::LAWFUL {
        let target = TargetSpec::in_process(lawful.purchaser());
        let search = search(&server, target, "one-item", 2);
        let all = run(&search, &mut Dfs::default()).await;
        assert_eq!(all.verdict(), Verdict::Valid, "{}: {all:?}", lawful.name);
    }
}

#[tokio::test]
async fn a_503_that_bought_nothing_is_no_violation() {
    let server = server().await;
    // The explorer holds the one connection for longer than the other buyer waits.
    let rowlock = env!("CARGO_BIN_EXE_rowlock");
    let busy = format!("env POOL_SIZE=1 ACQUIRE_TIMEOUT_MS=200 {rowlock} target");
    let target = TargetSpec::command(&busy, 1).unwrap();
    let mut answers = Vec::new();
    let note = |run: &Run| {
        let history = run.assessment.history.iter();
        answers.extend(history.map(|operation| operation.status));
    };
    let search = search(&server, target, "one-item", 2);
    let all = search.run(&mut Dfs::default(), note).await.unwrap();
    assert_eq!(all.verdict(), Verdict::Valid, "{all:?}");
    assert!(answers.contains(&Some(503)), "{answers:?}");
}

#[tokio::test]
async fn a_read_without_a_lock_is_found_within_10_schedules() {
    let server = server().await;
    let search = search(&server, mutant("unlocked-absolute-write"), "one-item", 2);
    let found = run(&search, &mut Dfs::default()).await;
    assert_eq!(found.verdict(), Verdict::Violation);
    assert!(found.found_at.unwrap() <= 10, "{:?}", found.found_at);
    let violation = found.violation.unwrap();
    let names: Vec<_> = violation.violated().map(|finding| &finding.name).collect();
    assert!(
        names.contains(&&"stock-gone-is-purchases".to_owned()),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_value_read_before_its_lock_is_found_among_three_buyers() {
    let server = server().await;
    let search = search(&server, mutant("stale-after-lock"), "one-item", 3);
    let found = run(&search, &mut Dfs::default()).await;
    assert_eq!(found.verdict(), Verdict::Violation);
}

#[tokio::test]
async fn one_preemption_finds_what_none_cannot() {
    let server = server().await;
    let search = search(&server, mutant("unlocked-absolute-write"), "one-item", 2);
    assert_eq!(
        run(&search, &mut Bounded::new(0)).await.verdict(),
        Verdict::Valid
    );
    assert_eq!(
        run(&search, &mut Bounded::new(1)).await.verdict(),
        Verdict::Violation
    );
}

#[tokio::test]
async fn every_mutant_meant_for_the_explorer_is_found_by_it() {
    let server = server().await;
    for mutant in mutants::MUTANTS {
        // What only overlapping statements show, and what shows between processes, is elsewhere.
        if mutant.name == "once-by-not-exists" || mutant.replicas > 1 {
            continue;
        }
        for detector in mutant.detectors {
            let (program, buyers) = match detector {
                Detector::Explorer(program) => (program, &[2, 3][..]),
                Detector::ExplorerOfThree(program) => (program, &[3][..]),
                _ => continue,
            };
            let target = TargetSpec::in_process(mutant.purchaser());
            let mut verdict = Verdict::Inconclusive;
            for buyers in buyers.iter().copied() {
                let mut search = search(&server, target.clone(), program, buyers);
                search.budget = Budget::Schedules(500);
                let found = run(&search, &mut Dfs::default()).await;
                println!(
                    "{} on {program}, {buyers} buyers: {} after {} {:?} {:?}",
                    mutant.name,
                    found.verdict(),
                    found.schedules,
                    found.lost,
                    found.repeated
                );
                verdict = found.verdict();
                if verdict == Verdict::Violation {
                    break;
                }
            }
            assert_eq!(verdict, Verdict::Violation, "{} on {program}", mutant.name);
        }
    }
}

#[tokio::test]
async fn two_paths_that_lock_in_opposite_orders_are_found_as_a_deadlock() {
    let server = server().await;
    let target = mutant("wallet-before-item");
    let search = search(&server, target, "double-click-half-keyed", 2);
    let found = run(&search, &mut Dfs::default()).await;
    let violation = found.violation.expect("a deadlock");
    let names: Vec<_> = violation.violated().map(|finding| &*finding.name).collect();
    assert_eq!(names, ["no-deadlock"]);
    // Without waiting for anybody's time-out.
    assert!(
        found.elapsed < Duration::from_secs(5),
        "{:?}",
        found.elapsed
    );
}

#[tokio::test]
async fn a_budget_that_runs_out_is_no_pass() {
    let server = server().await;
    let mut search = search(&server, ours(), "one-item", 2);
    search.budget = Budget::Schedules(5);
    let some = run(&search, &mut Exhaustive::default()).await;
    assert_eq!((some.verdict(), some.schedules), (Verdict::Inconclusive, 5));
    search.budget = Budget::Schedules(12);
    let all = run(&search, &mut Exhaustive::default()).await;
    assert_eq!(all.verdict(), Verdict::Valid, "as many as there are");
}

#[tokio::test]
async fn the_same_seed_makes_the_same_runs_whatever_the_number_of_workers() {
    let server = server().await;
    let mut search = search(&server, ours(), "one-item", 3);
    search.budget = Budget::Schedules(60);
    let seed = Seed(0x5eed);
    let strategies: [fn(Seed) -> Box<dyn Strategy>; 2] = [
        |seed| Box::new(Random::new(seed)),
        |_| Box::new(Dfs::default()),
    ];
    for strategy in strategies {
        search.workers = 1;
        let first = record(&search, strategy(seed).as_mut()).await;
        search.workers = 2;
        let second = record(&search, strategy(seed).as_mut()).await;
        assert_eq!(first.len(), 60);
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(first, second);
        }
        assert_eq!(first, second);
    }
    let other = record(&search, &mut Random::new(Seed(1))).await;
    assert_ne!(other, record(&search, &mut Random::new(Seed(2))).await);
}

/// A service that is ours, beside a job of its own that reads the shop all the time.
const WITH_A_JOB: BuildPurchaser = BuildPurchaser {
    name: "with-a-job",
    on_conflict: OnConflict::TriesAgain,
    keys: Keys::AsSeen,
    build: |pool| {
        let options = pool.connect_options();
        tokio::spawn(async move {
            let mut connection = options.connect().await.unwrap();
            // Ends with its connection.
            while sqlx::query("select count(*) from item")
                .execute(&mut connection)
                .await
                .is_ok()
            {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        (OURS.build)(pool)
    },
};

#[tokio::test]
async fn a_job_of_no_request_passes_and_is_named() {
    let server = server().await;
    let search = search(&server, TargetSpec::in_process(WITH_A_JOB), "one-item", 2);
    let all = run(&search, &mut Dfs::default()).await;
    assert_eq!(all.verdict(), Verdict::Valid, "{all:?}");
    let named: Vec<_> = all.uncontrolled.keys().map(String::as_str).collect();
    assert_eq!(named, ["select count(*) from item"]);
}

/// Services that do something else first in each request.
mod beforehand {
    use futures::future::{BoxFuture, FutureExt};
    use purchase_service::order::{IdempotencyKey, Order};
    use purchase_service::purchaser::{Outcome, PurchaseError, Purchaser};
    use rowlock::shop::{BuildPurchaser, OURS};
    use rowlock::target::{Keys, OnConflict};
    use sqlx::PgPool;
    use std::sync::Arc;

    /// Locks what nobody else wants, for as long as the session lasts.
    pub(crate) const LOCK_FOR_GOOD: BuildPurchaser = BuildPurchaser {
        name: "lock-for-good",
        on_conflict: OnConflict::TriesAgain,
        keys: Keys::AsSeen,
        build: |pool| beforehand(pool, |pool| lock_for_good(pool).boxed()),
    };

    /// Sends two statements at once.
    pub(crate) const TWO_AT_ONCE: BuildPurchaser = BuildPurchaser {
        name: "two-at-once",
        on_conflict: OnConflict::TriesAgain,
        keys: Keys::AsSeen,
        build: |pool| beforehand(pool, |pool| two_at_once(pool).boxed()),
    };

    async fn lock_for_good(pool: &PgPool) {
        let lock = sqlx::query("select pg_advisory_lock_shared(1)");
        lock.execute(pool).await.unwrap();
    }

    async fn two_at_once(pool: &PgPool) {
        let count = || sqlx::query("select count(*) from purchase").execute(pool);
        let (one, two) = tokio::join!(count(), count());
        one.and(two).unwrap();
    }

    type First = fn(&PgPool) -> BoxFuture<'_, ()>;

    struct Beforehand {
        ours: Arc<dyn Purchaser>,
        pool: PgPool,
        first: First,
    }

    fn beforehand(pool: PgPool, first: First) -> Arc<dyn Purchaser> {
        let ours = (OURS.build)(pool.clone());
        Arc::new(Beforehand { ours, pool, first })
    }

    impl Purchaser for Beforehand {
        fn purchase(
            self: Arc<Self>,
            order: Order,
            key: Option<IdempotencyKey>,
        ) -> BoxFuture<'static, Result<Outcome, PurchaseError>> {
            async move {
                (self.first)(&self.pool).await;
                self.ours.clone().purchase(order, key).await
            }
            .boxed()
        }
    }
}

#[tokio::test]
async fn a_lock_of_a_session_that_is_left_is_found() {
    let server = server().await;
    let target = TargetSpec::in_process(beforehand::LOCK_FOR_GOOD);
    let found = run(&search(&server, target, "one-item", 2), &mut Dfs::default()).await;
    let violation = found.violation.expect("a lock that is left");
    let names: Vec<_> = violation.violated().map(|finding| &*finding.name).collect();
    assert_eq!(names, ["no-lock-left"]);
}

/// A service that gives each purchase that comes without a key one of its own, made up anew.
mod fresh_key {
    use futures::future::BoxFuture;
    use purchase_service::order::{IdempotencyKey, Order};
    use purchase_service::purchaser::{Outcome, PurchaseError, Purchaser};
    use rowlock::shop::{BuildPurchaser, OURS};
    use rowlock::target::{Keys, OnConflict};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    pub(crate) const TARGET: BuildPurchaser = BuildPurchaser {
        name: "fresh-key",
        on_conflict: OnConflict::TriesAgain,
        keys: Keys::AsSeen,
        build: |pool| {
            let ours = (OURS.build)(pool);
            let made_up = AtomicU64::new(0);
            Arc::new(FreshKey { ours, made_up })
        },
    };

    struct FreshKey {
        ours: Arc<dyn Purchaser>,
        made_up: AtomicU64,
    }

    impl Purchaser for FreshKey {
        fn purchase(
            self: Arc<Self>,
            order: Order,
            key: Option<IdempotencyKey>,
        ) -> BoxFuture<'static, Result<Outcome, PurchaseError>> {
            let key = key.unwrap_or_else(|| {
                // As unlike the last as a random one, and the seed's all the same.
                let number = self.made_up.fetch_add(1, Ordering::Relaxed);
                let uuid = format!("{number:08x}-0000-4000-8000-000000000000");
                IdempotencyKey::parse(uuid.as_bytes()).unwrap()
            });
            self.ours.clone().purchase(order, Some(key))
        }
    }
}

#[tokio::test]
async fn a_key_that_is_made_up_anew_in_each_run_hinders_nobody() {
    let server = server().await;
    let target = TargetSpec::in_process(fresh_key::TARGET);
    let all = run(&search(&server, target, "one-item", 2), &mut Dfs::default()).await;
    assert_eq!(all.verdict(), Verdict::Valid, "{all:?}");
}

#[tokio::test]
async fn lost_control_is_inconclusive_and_says_why() {
    let server = server().await;
    let target = TargetSpec::in_process(beforehand::TWO_AT_ONCE);
    let mut search = search(&server, target, "one-item", 2);
    search.budget = Budget::Schedules(2);
    let lost = run(&search, &mut Dfs::default()).await;
    assert_eq!(lost.verdict(), Verdict::Inconclusive, "{lost:?}");
    let why: Vec<_> = lost.lost.keys().collect();
    assert!(
        why.iter()
            .any(|why| why.to_string().contains("several statements at once")),
        "{why:?}"
    );
}

/// The sum of these lines of a file of `/proc`, in KiB; nothing where there is no such file.
fn kib(file: &str, lines: &[&str]) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let named = text
        .lines()
        .filter(|line| lines.iter().any(|name| line.starts_with(name)));
    let kib = named.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    Some(kib.sum())
}

/// This process's resident memory, in KiB.
fn resident_kib() -> u64 {
    kib("/proc/self/status", &["VmRSS:"]).unwrap()
}

/// The parent of a process.
fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    fields.nth(1)?.parse().ok()
}

/// What the server whose postmaster this is has for itself, its shared memory apart, in KiB.
fn server_kib(postmaster: i32) -> u64 {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let of_server = pids.filter(|pid| parent(*pid) == Some(postmaster));
    let private = ["Private_Clean:", "Private_Dirty:"];
    // One that has ended meanwhile has nothing any more.
    of_server
        .filter_map(|pid| kib(&format!("/proc/{pid}/smaps_rollup"), &private))
        .sum()
}

#[tokio::test]
async fn a_thousand_schedules_leave_nothing_behind() {
    const WARM: usize = 200;
    const ALL: usize = WARM + 1_000;
    let server = server_of_its_own().await;
    let database = server.create_database("beside").await.unwrap();
    let mut connection = database.options().connect().await.unwrap();
    let backend = sqlx::query_scalar("select pg_backend_pid()");
    let postmaster = parent(backend.fetch_one(&mut connection).await.unwrap()).unwrap();

    let mut search = search(&server, ours(), "one-item", 2);
    search.budget = Budget::Schedules(ALL as u64);
    let (mut seen, mut memory) = (0, Vec::new());
    let measure = |_: &Run| {
        seen += 1;
        if [WARM, ALL].contains(&seen) {
            memory.push((resident_kib(), server_kib(postmaster)));
        }
    };
    search
        .run(&mut Random::new(Seed(1)), measure)
        .await
        .unwrap();
    let [(harness, backends), (harness_after, backends_after)] = memory[..] else {
        panic!("{seen} schedules were run");
    };
    println!(
        "harness {harness}, then {harness_after} KiB; server {backends}, then {backends_after} KiB"
    );
    assert!(harness_after < harness + 16 * 1024);
    assert!(backends > 0 && backends_after < backends + 16 * 1024);

    let others = "select count(*) from pg_stat_activity
                  where backend_type = 'client backend' and pid <> pg_backend_pid()";
    let locks = "select count(*) from pg_locks where pid <> pg_backend_pid()";
    let databases = "select count(*) from pg_database where datname like 'trial%'";
    // A session ends a moment after its client has gone.
    let deadline = Instant::now() + Duration::from_secs(10);
    for query in [others, locks, databases] {
        while sqlx::query_scalar::<_, i64>(query)
            .fetch_one(&mut connection)
            .await
            .unwrap()
            > 0
        {
            assert!(Instant::now() < deadline, "{query}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
