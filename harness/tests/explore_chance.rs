//! The strategies that leave something to chance find what they promise, as often as they promise.

use std::time::Duration;

use crate::sql_clients::{Clients, End, Scripts};
use rowlock::explorer::strategies::{Dfs, Overlap, Pct, Random};
use rowlock::explorer::{Choice, Follow, Next, RequestIndex, Schedule, Strategy};
use rowlock_core::seed::Seed;

const SCHEMA: &str = "create table t (id bigint primary key, v bigint not null);
                      create table u (v bigint not null)";
const RESET: &str = "delete from t; insert into t values (1, 0); delete from u";
const SEED: Seed = Seed(0x5eed);

/// A value that is there only between two statements of one client: a bug of depth 2.
fn short_lived() -> Scripts {
    let set = |v| format!("update t set v = {v} where id = 1");
    vec![
        vec![set(1), set(0)],
        vec!["select v from t where id = 1".to_owned()],
    ]
}

/// How many of `runs` runs see the short-lived value.
async fn found(strategy: &mut dyn Strategy, runs: u64) -> u64 {
    let mut clients = Clients::open(SCHEMA).await;
    let mut seen = 0;
    for _ in 0..runs {
        let Next::Run(mut chooser) = strategy.next() else {
            panic!("a random strategy goes on for ever");
        };
        let rows = "select v from t";
        let finished = clients
            .run(RESET, &short_lived(), rows, chooser.as_mut())
            .await;
        strategy.observe(&finished.execution);
        let End::Finished(answers, _) = finished.end else {
            panic!("nothing here waits for two");
        };
        seen += u64::from(answers[1] == ["1"]);
    }
    seen
}

#[tokio::test]
async fn pct_finds_a_bug_of_depth_2_as_often_as_it_promises() {
    const RUNS: u64 = 400;
    let mut pct = Pct::new(SEED, 2, 2);
    let seen = found(&mut pct, RUNS).await;
    let promised = pct.probability();
    assert!(
        (promised - 1.0 / 6.0).abs() < 1e-9,
        "2 requests and 3 steps: {promised}"
    );
    // Three standard deviations of a binomial below its mean; the seed makes it one number.
    let mean = RUNS as f64 * promised;
    let least = mean - 3.0 * (mean * (1.0 - promised)).sqrt();
    assert!(seen as f64 >= least, "{seen} of {RUNS}, promised {mean:.0}");
}

#[tokio::test]
async fn pct_of_depth_1_changes_no_priority_and_cannot_find_it() {
    assert_eq!(found(&mut Pct::new(SEED, 2, 1), 50).await, 0);
}

#[tokio::test]
async fn random_choices_are_uniform() {
    const RUNS: u64 = 400;
    // A first (1/2), then B (1/2): a quarter of all runs.
    let seen = found(&mut Random::new(SEED), RUNS).await;
    assert!((70..=130).contains(&seen), "{seen} of {RUNS}");
}

#[tokio::test]
async fn only_overlapping_statements_insert_twice_where_nothing_exists() {
    let mut clients = Clients::open(SCHEMA).await;
    let once = "insert into u select 1 where not exists (select from u)".to_owned();
    let scripts = vec![vec![once.clone()], vec![once]];
    let rows = "select v from u";
    let twice = |end: &End| matches!(end, End::Finished(_, rows) if rows.len() == 2);

    let serial = clients
        .explore(RESET, &scripts, rows, &mut Dfs::default(), 100)
        .await;
    assert!(!serial.0.keys().any(twice), "{:?}", serial.0);

    let mut overlap = Overlap::default();
    let mut runs = 0;
    loop {
        let (ends, ran) = clients
            .explore(RESET, &scripts, rows, &mut overlap, 50)
            .await;
        runs += ran;
        if ends.keys().any(twice) {
            println!("inserted twice within {runs} runs");
            break;
        }
        assert!(runs < 5_000, "not once in {runs} runs");
    }
}

#[tokio::test]
async fn a_pair_that_skips_locked_rows_never_meets_the_harness_s_own_locks() {
    let mut clients = Clients::open(SCHEMA).await;
    let reset = "delete from t; insert into t values (1, 0), (2, 0)";
    let any = "select v from t order by id limit 1 for update skip locked".to_owned();
    let scripts = vec![vec![any.clone()], vec![any]];
    let pair = Choice::Together(RequestIndex(0), RequestIndex(1));
    for run in 0..20 {
        let mut chooser = Follow(Schedule(vec![pair]));
        let finished = clients
            .run(reset, &scripts, "select v from t", &mut chooser)
            .await;
        let End::Finished(answers, _) = finished.end else {
            panic!("nothing here waits in a circle");
        };
        assert_eq!(answers, [["0"], ["0"]], "run {run}");
    }
}

#[tokio::test]
async fn a_pair_overlaps_each_time_where_a_statement_locks_a_row() {
    let mut clients = Clients::open(SCHEMA).await;
    let once = "with lock as (select v from t where id = 1 for update)
                insert into u select 1 from lock where not exists (select from u)";
    let scripts = vec![vec![once.to_owned()], vec![once.to_owned()]];
    let pair = Choice::Together(RequestIndex(0), RequestIndex(1));
    for run in 0..40 {
        let mut chooser = Follow(Schedule(vec![pair]));
        let finished = clients
            .run(RESET, &scripts, "select v from u", &mut chooser)
            .await;
        let End::Finished(_, rows) = finished.end else {
            panic!("nothing here waits in a circle");
        };
        assert_eq!(rows.len(), 2, "run {run}: {:?}", finished.execution.control);
    }
}

#[tokio::test]
async fn a_table_that_is_locked_as_a_whole_is_left_out_of_what_is_held() {
    let mut clients = Clients::open(SCHEMA).await;
    let scripts = vec![
        vec![
            "begin".to_owned(),
            "lock table t".to_owned(),
            "select v from u".to_owned(),
            "commit".to_owned(),
        ],
        vec!["select v from u".to_owned()],
    ];
    let (a, b) = (RequestIndex(0), RequestIndex(1));
    let mut chooser = Follow(Schedule(vec![Choice::Deliver(a), Choice::Together(a, b)]));
    let run = clients.run(RESET, &scripts, "select v from t", &mut chooser);
    let finished = tokio::time::timeout(Duration::from_secs(30), run).await;
    let finished = finished.expect("the harness waits for nobody's table");
    assert_eq!(finished.execution.schedule.to_string(), "A(AB)A");
}
