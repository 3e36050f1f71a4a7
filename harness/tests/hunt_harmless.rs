//! No pair of scripts that is called harmless by its traces ever shows what no serial order shows.

use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Arc;

use crate::sql_clients::{Clients, End, Scripts};
use rowlock::contract::ContractSubject;
use rowlock::explorer::search::Budget;
use rowlock::explorer::strategies::Exhaustive;
use rowlock::explorer::{Bounds, Follow, Schedule, Setup};
use rowlock::hunt::{Hunter, Relation, StoryTrace};
use rowlock::mutants::{self, Mutant};
use rowlock::target::{Described, TargetSpec};
use rowlock_contract::Contract;
use rowlock_postgres::{Provider, Server, Settings};
use rowlock_testing::seed::for_all;

const SCHEMA: &str = "create table t (id bigint primary key, v bigint not null check (v >= 0));
                      create table u (id bigint primary key, t_id bigint references t (id), v bigint)";
const RESET: &str = "delete from u; delete from t; vacuum t; vacuum u;
                     insert into t values (1, 10), (2, 20); insert into u values (1, 1, 5), (2, 2, 6)";
const ROWS: &str =
    "select id, v, 0::bigint from t union all select id, v, t_id from u order by 1, 2, 3";
const MANY: u64 = 2_000;

/// Pairs of scripts that are tried.
const PROGRAMS: u32 = 150;

/// What a client sends, mostly to the rows `id`.
fn statement(id: i64) -> impl Strategy<Value = String> {
    let table = prop_oneof![Just("t"), Just("u")];
    let id = prop_oneof![5 => Just(id), 1 => Just(3 - id)];
    (table, id, 0..9u8).prop_map(|(table, id, which)| match which {
        0 | 1 => format!("select v from {table} where id = {id}"),
        2 => format!("update {table} set v = v + 1 where id = {id}"),
        3 => format!("update {table} set v = v * 2 where id = {id}"),
        4 => format!("select v from {table} where id = {id} for update"),
        5 => format!("insert into u values ({id}0, {id}, 7)"),
        6 => format!("delete from u where id = {id}"),
        7 => format!("select sum(v)::int8 from {table}"),
        _ => format!("update u set v = (select max(v) from t where id = {id}) where id = {id}"),
    })
}

fn client(id: i64) -> impl Strategy<Value = Vec<String>> {
    (vec(statement(id), 1..=3), any::<bool>()).prop_map(|(statements, is_transaction)| {
        let (first, last) = match is_transaction {
            true => (vec!["begin".to_owned()], vec!["commit".to_owned()]),
            false => (Vec::new(), Vec::new()),
        };
        [first, statements, last].concat()
    })
}

/// The story of a script that runs alone.
async fn alone(clients: &mut Clients, script: &[String]) -> StoryTrace {
    let scripts: Scripts = vec![script.to_vec()];
    let finished = clients
        .run(RESET, &scripts, ROWS, &mut Follow::default())
        .await;
    StoryTrace::of(&finished.execution)
}

/// What the scripts leave one after another, in both orders.
async fn serial(clients: &mut Clients, scripts: &Scripts) -> Vec<End> {
    let mut ends = Vec::new();
    for first in ["A", "B"] {
        let schedule: Schedule = first.parse().unwrap();
        // After its end whoever runs goes on.
        let mut follow = Follow(schedule);
        ends.push(clients.run(RESET, scripts, ROWS, &mut follow).await.end);
    }
    ends
}

#[test]
fn no_pair_that_is_called_harmless_shows_what_no_serial_order_shows() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let clients = tokio::sync::Mutex::new(runtime.block_on(Clients::open(SCHEMA)));
    let harmless = Cell::new((0, 0));
    for_all(PROGRAMS, &(client(1), client(2)), |(one, other)| {
        runtime.block_on(async {
            let clients = &mut *clients.lock().await;
            let stories = [alone(clients, &one).await, alone(clients, &other).await];
            let (mut tried, mut called) = harmless.get();
            tried += 1;
            let relation = Relation::of(&[&stories[0], &stories[1]]);
            if let Relation::CannotConflict(_) = relation {
                called += 1;
                let scripts: Scripts = vec![one, other];
                let serial = serial(clients, &scripts).await;
                let mut brute = Exhaustive::default();
                let (all, runs) = clients
                    .explore(RESET, &scripts, ROWS, &mut brute, MANY)
                    .await;
                prop_assert!(runs < MANY);
                let odd: BTreeMap<_, _> = all
                    .iter()
                    .filter(|(end, _)| !serial.contains(end))
                    .collect();
                prop_assert!(odd.is_empty(), "{odd:?}");
            }
            harmless.set((tried, called));
            Ok(())
        })
    });
    let (tried, called) = harmless.get();
    println!("{called} of {tried} pairs are called harmless");
    assert!(called > 10 && called < tried);
}

/// Two users who each buy something else, of the shop.
const APART: &str = r#"
[[programs]]
name = "apart"
rows = """
insert into item (id, price, stock) values (1, 250, 2), (2, 250, 2);
insert into wallet (user_id, balance) values (1, 500), (2, 500)
"""
actors = ["ada", { actor = "bob", with = { item = 2 } }]
"#;

/// The shop's contract, with that program alone.
fn apart() -> Contract {
    let shop = include_str!("../../examples/contracts/shop.toml");
    let (head, _) = shop.split_once("# Each has a wallet").unwrap();
    Contract::parse(&format!("{head}{APART}"), "shop.toml").unwrap()
}

/// Schedules of a pair, without reduction: what calls a pair harmless would also leave them out.
const TRIED: u64 = 40;

/// Mutants of which the pair is called harmless.
///
/// Not among them is `begin-and-commit-apart`: it mixes up its own connections, which is no matter of
/// rows, and shows whoever meets whom.
const HARMLESS: [&str; 5] = [
    "unlocked-absolute-write",
    "check-before-transaction",
    "statement-on-the-pool",
    "stale-after-lock",
    "lock-in-autocommit",
];

/// What is violated of the pair of `mutant` that is called harmless; nothing if none is so called.
async fn explore_apart(
    server: &Arc<Server>,
    subject: &ContractSubject,
    mutant: &Mutant,
) -> Option<Vec<String>> {
    let setup = Setup {
        subject: subject.clone(),
        target_env: Vec::new(),
        server: Arc::clone(server),
        target: TargetSpec::in_process(mutant.purchaser()),
        bounds: Bounds::default(),
        trace: None,
    };
    let mut hunter = Hunter::new(setup.clone());
    let plan = hunter.plan(&apart(), 2, |_| {}).await.unwrap();
    hunter.close().await.unwrap();
    let is_harmless = |relation: &Relation| matches!(relation, Relation::CannotConflict(_));
    let mut planned = plan.planned.into_iter();
    let harmless = planned.find(|planned| is_harmless(&planned.relation))?;
    let hunter = Hunter::new(setup);
    let budget = Budget::Schedules(TRIED);
    let explored = hunter
        .explore_unreduced(&harmless.program, budget, 1, |_| {})
        .await
        .unwrap();
    hunter.close().await.unwrap();
    let is_tried = explored.schedules > 1 || explored.violation.is_some();
    assert!(is_tried, "{}: {explored:?}", mutant.name);
    let violated = explored.violation.iter().flat_map(|run| run.violated());
    Some(violated.map(|finding| finding.name.clone()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pair_of_a_mutant_that_is_called_harmless_is_violated() {
    let mut settings = Settings {
        provider: Provider::Local,
        ..Settings::from_env()
    };
    settings
        .parameters
        .push(("deadlock_timeout".into(), "1h".into()));
    let server = Arc::new(Server::start(&settings).await.unwrap());
    let described = Described::new(Arc::new(apart()));
    let subject = ContractSubject::new(described, &server).await.unwrap();
    let tried = HARMLESS.map(async |name| {
        let mutant = mutants::find(name).unwrap();
        (name, explore_apart(&server, &subject, mutant).await)
    });
    for (name, violated) in futures::future::join_all(tried).await {
        assert_eq!(violated, Some(Vec::new()), "{name}");
    }
    // What `--all` runs finds what traces of one story alone cannot show.
    let apart = mutants::find("begin-and-commit-apart").unwrap();
    let violated = explore_apart(&server, &subject, apart).await;
    assert!(violated.is_some_and(|found| !found.is_empty()));
    drop(subject);
    Arc::into_inner(server).unwrap().stop().await.unwrap();
}
