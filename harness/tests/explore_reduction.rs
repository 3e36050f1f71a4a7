//! Reduction leaves out nothing: it sees every outcome that brute force sees, on many programs.

use std::ops::RangeInclusive;

use crate::sql_clients::compare::{Tables, compare};
use crate::sql_clients::{Clients, End, Scripts};
use proptest::collection::vec;
use proptest::prelude::*;
use rowlock::explorer::strategies::{Bounded, Dfs, Exhaustive};
use sqlx::postgres::PgConnectOptions;

const SCHEMA: &str = "create table t (id bigint primary key, v bigint not null check (v >= 0))";
/// Dead rows go, too, with their place in the index and on the page: where a new row comes to lie
/// decides which of two an UPDATE of both locks first, and would otherwise depend on earlier runs.
const RESET: &str = "delete from t; vacuum (index_cleanup on, truncate off) t;
                     insert into t values (1, 10), (2, 20)";
const ROWS: &str = "select id, v from t order by id";
const MANY: u64 = 5_000;

/// Programs that are compared; each takes from 2 to 90 runs by brute force.
const PROGRAMS: u32 = 200;

/// What a client sends; `inserted` are the rows that it may insert.
fn statement(inserted: RangeInclusive<i64>) -> impl Strategy<Value = String> {
    let row = 1..=2i64;
    prop_oneof![
        4 => row.clone().prop_map(|id| format!("select v from t where id = {id}")),
        4 => row.clone().prop_map(|id| format!("update t set v = v + 1 where id = {id}")),
        2 => row.clone().prop_map(|id| format!("update t set v = v * 2 where id = {id}")),
        3 => row.clone().prop_map(|id| format!("select v from t where id = {id} for update")),
        1 => row.clone().prop_map(|id| format!("select v from t where id = {id} for share")),
        1 => Just("select sum(v)::int8 from t".to_owned()),
        1 => Just("update t set v = v + 5 where v > 10".to_owned()),
        1 => Just("delete from t where v > 20".to_owned()),
        1 => row.clone().prop_map(|id| {
            format!("update t set v = (select v from t where id = {}) where id = {id}", 3 - id)
        }),
        1 => Just("insert into t values (3, 30)".to_owned()),
        // These may fail.
        2 => inserted.prop_map(|id| format!("insert into t (id, v) values ({id}, 30)")),
        1 => Just("update t set v = v - 25".to_owned()),
        1 => row.clone().prop_map(|id| format!("update t set v = v - 11 where id = {id}")),
        2 => (row, prop_oneof!["skip locked", "nowait"]).prop_map(|(id, how)| {
            format!("select v from t where id = {id} for update {how}")
        }),
        1 => Just("select v from t order by id limit 1 for update skip locked".to_owned()),
    ]
}

fn client(statements: usize, inserted: RangeInclusive<i64>) -> impl Strategy<Value = Vec<String>> {
    let end = prop_oneof![3 => Just(Some("commit")), 1 => Just(Some("rollback")), 1 => Just(None)];
    let statements = vec(statement(inserted), 1..=statements);
    (statements, end).prop_map(|(statements, end)| match end {
        // Each statement a transaction of its own.
        None => statements,
        Some(end) => {
            let begin = "begin isolation level read committed".to_owned();
            let all = std::iter::once(begin).chain(statements);
            all.chain([end.to_owned()]).collect()
        }
    })
}

fn program() -> impl Strategy<Value = Scripts> {
    prop_oneof![
        3 => vec(client(2, 2..=3), 2),
        1 => vec(client(3, 2..=3), 2),
        // Of two who wait for a row, one to lock it and one to insert it once more, PostgreSQL
        // serves either first: that no schedule decides.
        2 => vec(client(1, 3..=3), 3),
    ]
}

#[test]
fn every_outcome_is_also_an_outcome_under_reduction() {
    let tables = Tables {
        schema: SCHEMA,
        reset: RESET,
        rows: ROWS,
    };
    let (all, reduced) = compare(&tables, PROGRAMS, &program(), MANY);
    assert!(reduced < all);
}

fn scripts(clients: &[&[&str]]) -> Scripts {
    let script = |client: &&[&str]| client.iter().map(|sql| sql.to_string()).collect();
    clients.iter().map(script).collect()
}

/// Ends that brute force sees and reduction does not.
async fn missed(clients: &mut Clients, scripts: &Scripts) -> Vec<String> {
    missed_of(clients, RESET, scripts, ROWS).await
}

async fn missed_of(
    clients: &mut Clients,
    reset: &str,
    scripts: &Scripts,
    rows: &str,
) -> Vec<String> {
    let mut brute = Exhaustive::default();
    let (all, _) = clients
        .explore(reset, scripts, rows, &mut brute, MANY)
        .await;
    let mut reduced = Dfs::default();
    let (found, _) = clients
        .explore(reset, scripts, rows, &mut reduced, MANY)
        .await;
    let missed = all.iter().filter(|(end, _)| !found.contains_key(end));
    missed.map(|missed| format!("{missed:?}")).collect()
}

#[tokio::test]
async fn a_statement_that_fails_gives_back_the_locks_of_its_transaction() {
    let mut clients = Clients::open(SCHEMA).await;
    let scripts = scripts(&[
        &[
            "begin",
            "select v from t where id = 1 for update",
            "insert into t (id, v) values (2, 0)",
            "rollback",
        ],
        &["select v from t where id = 1 for update skip locked"],
    ]);
    assert_eq!(missed(&mut clients, &scripts).await, [""; 0]);
}

#[tokio::test]
async fn a_commit_that_sets_a_waiter_free_is_also_the_waiter_s_commit() {
    let mut clients = Clients::open(SCHEMA).await;
    let scripts = scripts(&[
        &[READ_2],
        &["begin", "update t set v = 15 where id = 1", "commit"],
        &["update t set v = (select sum(v)::int8 from t)"],
    ]);
    assert_eq!(missed(&mut clients, &scripts).await, [""; 0]);
}

#[tokio::test]
async fn what_must_come_first_for_a_reversal_is_run_first() {
    let mut clients = Clients::open(SCHEMA).await;
    // The sum is to be read after the second client's COMMIT and before the third one's, whose
    // update came before both.
    let scripts = scripts(&[
        &["begin", "select sum(v)::int8 from t", "commit"],
        &["begin", "update t set v = v - 1 where id = 2", "commit"],
        &[
            "begin",
            "update t set v = (select v from t where id = 2) where id = 1",
            "commit",
        ],
    ]);
    assert_eq!(missed(&mut clients, &scripts).await, [""; 0]);
}

/// Two reads in one transaction, and a write that comes between them in no snapshot.
fn two_reads_and_a_write(begin: &[&str]) -> Scripts {
    let reader = [begin, &[READ_2, "commit"]].concat();
    scripts(&[&reader, &["update t set v = v + 1 where id = 2"]])
}

#[tokio::test]
async fn a_snapshot_that_a_session_was_set_to_before_the_explorer_came_is_known() {
    let scripts = two_reads_and_a_write(&["begin", READ_1]);
    let role = "create role buyer login;
                alter role buyer set default_transaction_isolation = 'repeatable read'";
    let schema = format!("{SCHEMA}; {role}; grant all on t to buyer");
    let setting = "default_transaction_isolation";
    for (early, user, options, session) in [
        (
            2,
            None,
            None,
            "set session characteristics as transaction isolation level repeatable read",
        ),
        (
            2,
            None,
            None,
            "do $$ begin perform set_config('default_transaction_isolation', \
             'repeatable read', false); end $$",
        ),
        (2, None, Some("repeatable read"), ""),
        (0, Some("buyer"), None, ""),
    ] {
        let change = |mut through: PgConnectOptions| {
            if let Some(user) = user {
                through = through.username(user);
            }
            through.options(options.map(|level| (setting, level)))
        };
        let mut clients = Clients::open_early(&schema, early, change, session).await;
        let missed = missed(&mut clients, &scripts).await;
        assert_eq!(missed, [""; 0], "{user:?} {options:?} {session}");
    }
}

#[tokio::test]
async fn a_snapshot_that_begins_in_one_step_with_its_first_statement_is_known() {
    let mut clients = Clients::open(SCHEMA).await;
    clients.is_raw = true;
    let batch = format!("batch: begin isolation level repeatable read | {READ_1}");
    let scripts = two_reads_and_a_write(&[&batch]);
    assert_eq!(missed(&mut clients, &scripts).await, [""; 0]);
}

#[tokio::test]
async fn a_table_with_a_quoted_name_or_in_another_schema_keeps_its_foreign_keys() {
    let tables = "create schema shop;
        create table shop.item (id bigint primary key, v bigint not null);
        create table \"order\" (id bigint generated always as identity primary key,
                              item_id bigint not null references shop.item)";
    let mut clients = Clients::open(tables).await;
    let order = &clients.catalog.tables["order"];
    let foreign = order.foreign.iter().map(|foreign| foreign.table.as_str());
    assert_eq!(Vec::from_iter(foreign), ["item"]);
    assert!(clients.catalog.tables["item"].referenced.contains("id"));

    let lock = "select v from shop.item where id = 1 for update";
    let insert = "insert into \"order\" (item_id) values (1)";
    let reset = "delete from \"order\"; delete from shop.item; insert into shop.item values (1, 7)";
    let rows = "select v from shop.item";
    for one in [
        vec!["begin", insert, lock, "commit"],
        vec!["begin", lock, "commit"],
    ] {
        let scripts = scripts(&[&["begin", insert, lock, "commit"], &one]);
        let missed = missed_of(&mut clients, reset, &scripts, rows).await;
        assert_eq!(missed, [""; 0], "{one:?}");
    }
}

#[tokio::test]
async fn a_transaction_that_was_begun_and_cut_with_flush_is_one() {
    let mut clients = Clients::open(SCHEMA).await;
    clients.is_raw = true;
    let lock = "flush: select v from t where id = 1 for update";
    for end in [
        &["flush: begin", lock, "batch: commit"][..],
        &[lock, "sync"],
    ] {
        let scripts = scripts(&[end, &[SKIP_1]]);
        assert_eq!(missed(&mut clients, &scripts).await, [""; 0], "{end:?}");
        let mut reduced = Dfs::default();
        let (found, _) = clients
            .explore(RESET, &scripts, ROWS, &mut reduced, MANY)
            .await;
        let is_skipped =
            |end: &End| matches!(end, End::Finished(answers, _) if answers[1].is_empty());
        assert!(found.keys().any(is_skipped), "{end:?}: {found:?}");
    }
}

#[tokio::test]
async fn what_a_transaction_touched_in_steps_cut_with_flush_is_given_back_at_its_end() {
    let mut clients = Clients::open(SCHEMA).await;
    clients.is_raw = true;
    let update = "flush: update t set v = 15 where id = 1";
    for writer in [
        &["begin", update, "commit"][..],
        &["flush: begin", update, "batch: commit"],
        &["begin", update, "flush: commit", "sync"],
        &[update, "sync"],
        &[update, "batch: select v from t where id = 2"],
    ] {
        for reader in [READ_1, SKIP_1] {
            for scripts in [scripts(&[writer, &[reader]]), scripts(&[&[reader], writer])] {
                assert_eq!(missed(&mut clients, &scripts).await, [""; 0], "{scripts:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_an_insert_does_beside_its_text_is_known_or_taken_for_anything() {
    let schema = format!(
        "{SCHEMA};
         create function total() returns bigint language sql
             as 'select sum(v)::int8 from t';
         create table by_default (id bigint primary key, total bigint default total());
         create table by_check (id bigint primary key, check (id + total() < 35));
         create domain small as bigint check (value + total() < 35);
         create table by_domain (id small primary key);
         create table no_nulls (id bigint primary key, k text unique nulls not distinct)"
    );
    let mut clients = Clients::open(&schema).await;
    let reset = format!("{RESET}; truncate by_default, by_check, by_domain, no_nulls");
    let rows = "select id, total from by_default union all select id, id from by_check
                union all select id, id from by_domain
                union all select id, id from no_nulls union all select id, v from t order by 1, 2";
    let update = "update t set v = v + 1 where id = 1";
    for (insert, other) in [
        ("insert into by_default (id) values (3)", update),
        ("insert into by_check (id) values (4)", update),
        ("insert into by_domain (id) values (4)", update),
        (
            "insert into no_nulls (id, k) values (3, null)",
            "insert into no_nulls (id, k) values (4, null)",
        ),
    ] {
        let client = |sql| ["begin", sql, "commit"];
        for scripts in [
            scripts(&[&client(insert), &client(other)]),
            scripts(&[&client(other), &client(insert)]),
        ] {
            let missed = missed_of(&mut clients, &reset, &scripts, rows).await;
            assert_eq!(missed, [""; 0], "{scripts:?}");
        }
    }
}

const SKIP_1: &str = "select v from t where id = 1 for update skip locked";
const READ_1: &str = "select v from t where id = 1";
const READ_2: &str = "select v from t where id = 2";

#[tokio::test]
async fn brute_force_runs_every_interleaving_once_and_reduction_one_of_independent_ones() {
    let mut clients = Clients::open(SCHEMA).await;
    // (2n)! / n!² for two clients, (3n)! / n!³ for three.
    for (client, count, runs) in [
        (vec![READ_1; 1], 2, 2),
        (vec![READ_1; 2], 2, 6),
        (vec![READ_1; 3], 2, 20),
        (vec![READ_1; 4], 2, 70),
        (vec![READ_2; 1], 3, 6),
        (vec![READ_2; 2], 3, 90),
    ] {
        let scripts = scripts(&vec![client.as_slice(); count]);
        let (_, brute) = clients
            .explore(RESET, &scripts, ROWS, &mut Exhaustive::default(), MANY)
            .await;
        assert_eq!(brute, runs, "{scripts:?}");
        let (_, reduced) = clients
            .explore(RESET, &scripts, ROWS, &mut Dfs::default(), MANY)
            .await;
        assert_eq!(reduced, 1, "{scripts:?}");
    }
}

#[tokio::test]
async fn preemptions_bound_what_is_run() {
    let mut clients = Clients::open(SCHEMA).await;
    let scripts = scripts(&[&[READ_1; 3], &[READ_1; 3]]);
    // Words of three A and three B: a switch away from a client that is not done is a preemption.
    for (bound, runs) in [(0, 2), (1, 6), (2, 14), (3, 18), (4, 20), (9, 20)] {
        let mut bounded = Bounded::new(bound);
        let (_, ran) = clients
            .explore(RESET, &scripts, ROWS, &mut bounded, MANY)
            .await;
        assert_eq!(ran, runs, "at most {bound} preemptions");
    }
}

#[tokio::test]
async fn a_deadlock_is_found_as_a_circle() {
    let mut clients = Clients::open(SCHEMA).await;
    let lock = |id| format!("select v from t where id = {id} for update");
    let client = |first, second| {
        [
            "begin".to_owned(),
            lock(first),
            lock(second),
            "commit".to_owned(),
        ]
        .to_vec()
    };
    let scripts = vec![client(1, 2), client(2, 1)];
    let (ends, _) = clients
        .explore(RESET, &scripts, ROWS, &mut Dfs::default(), MANY)
        .await;
    let is_circle = |end: &End| matches!(end, End::Deadlocked(circle) if circle.len() == 2);
    assert!(ends.keys().any(is_circle), "{ends:?}");
    let in_order = vec![client(1, 2), client(1, 2)];
    let (ends, _) = clients
        .explore(RESET, &in_order, ROWS, &mut Dfs::default(), MANY)
        .await;
    assert!(!ends.keys().any(is_circle), "{ends:?}");
}
