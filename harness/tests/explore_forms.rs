//! Reduction leaves out nothing either where statements name several tables, lists and keys, and where
//! what commits makes no difference to what others read.

use crate::sql_clients::compare::{Tables, compare};
use crate::sql_clients::{Clients, Scripts};
use proptest::collection::vec;
use proptest::prelude::*;
use rowlock::explorer::strategies::Dfs;

const SCHEMA: &str = "create table t (id bigint primary key, v bigint not null);
    create table u (id bigint primary key, t_id bigint references t (id) on delete cascade,
                    w bigint unique);
    create sequence s";
const RESET: &str = "delete from u; delete from t; vacuum (index_cleanup on, truncate off) t;
    vacuum (index_cleanup on, truncate off) u; alter sequence s restart;
    insert into t values (1, 10), (2, 20); insert into u values (1, 1, 5), (2, 2, 6)";
const ROWS: &str =
    "select id, v, 0::bigint from t union all select id, w, t_id from u order by 1, 2, 3";
const MANY: u64 = 5_000;

/// Programs that are compared.
const PROGRAMS: u32 = 150;

fn read() -> impl Strategy<Value = String> {
    (1..=2i64, 0..7u8).prop_map(|(id, which)| match which {
        0 => format!("select v from t where id in ({id}, 7)"),
        1 => format!("select u.w from u join t on t.id = u.t_id where t.v > 0 and t.id = {id}"),
        2 => format!("with x as (select v from t where id = {id}) select v from x"),
        3 => "select count(*) from t, u where abs(u.w) > 0".to_owned(),
        4 => format!("select v from t where id = any ('{{{id}}}')"),
        5 => format!(
            "select i + v from generate_series(1::int8, 2) as i, t where t.id = {id} order by 1"
        ),
        _ => "select w from u union all select v from t order by 1".to_owned(),
    })
}

fn write() -> impl Strategy<Value = String> {
    (1..=2i64, 0..14u8).prop_map(|(id, which)| match which {
        0 => format!("update t set v = v where id = {id}"),
        1 => format!("update t set v = v + 1 where id in ({id}, 7)"),
        2 => format!("update t set v = v + u.w from u where u.t_id = t.id and t.id = {id}"),
        3 => format!("delete from t where id = {id}"),
        4 => format!("delete from u using t where t.id = u.t_id and t.id = {id}"),
        5 => format!("update u set t_id = {id} where id = 1"),
        6 => format!(
            "update t set id = 5 where id = {id} and not exists (select from u where t_id = t.id)"
        ),
        7 => format!("insert into u values (3, {id}, 5) on conflict do nothing"),
        8 => format!(
            "insert into u values ({id}, 1, 7) on conflict (id) do update set t_id = excluded.t_id"
        ),
        9 => {
            format!("insert into u values ({id}, 1, 7) on conflict (id) do update set w = u.w + 1")
        }
        10 => format!("insert into t values ({}, 30)", id + 1),
        11 => format!("select v from t where id = {id} for no key update"),
        12 => "select t.v from t join u on u.t_id = t.id order by u.id for update of t".to_owned(),
        _ => "select nextval('s')".to_owned(),
    })
}

fn client() -> impl Strategy<Value = Vec<String>> {
    let statement = || prop_oneof![2 => read(), 3 => write()];
    (vec(statement(), 1..=3), any::<bool>()).prop_map(|(statements, is_transaction)| {
        let (first, last) = match is_transaction {
            true => (vec!["begin".to_owned()], vec!["commit".to_owned()]),
            false => (Vec::new(), Vec::new()),
        };
        [first, statements, last].concat()
    })
}

/// One who only reads, and one who writes; of three one writes.
fn readers() -> impl Strategy<Value = Scripts> {
    let writer = vec(write(), 1..=2).prop_map(|writes| {
        let (first, last) = (vec!["begin".to_owned()], vec!["commit".to_owned()]);
        [first, writes, last].concat()
    });
    let change = || write().prop_map(|write| vec![write]);
    prop_oneof![
        (vec(read(), 2..=4), writer).prop_map(|(reader, writer)| vec![reader, writer]),
        (vec(read(), 2), change(), change()).prop_map(|(a, b, c)| vec![a, b, c]),
    ]
}

#[test]
fn every_outcome_of_joins_lists_and_keys_is_also_an_outcome_under_reduction() {
    let program = prop_oneof![2 => vec(client(), 2), 1 => readers()];
    let tables = Tables {
        schema: SCHEMA,
        reset: RESET,
        rows: ROWS,
    };
    let (all, reduced) = compare(&tables, PROGRAMS, &program, MANY);
    assert!(reduced < all / 2);
}

/// A reader who is told the same whenever the writer commits: brute force runs 11, and it takes 2 to
/// see it.
#[tokio::test]
async fn a_commit_that_no_read_sees_is_not_tried_between_all_of_them() {
    let mut clients = Clients::open(SCHEMA).await;
    let reads = vec!["select w from u join t on t.id = u.t_id where u.w + t.id > 0".to_owned(); 10];
    let see = vec!["select count(*) from t where v > 15".to_owned(); 4];
    for (change, seen, most) in [("v = v", false, 3), ("v = 12", true, 7)] {
        let scripts = vec![
            vec![format!("update t set {change} where id = 2")],
            [&reads[..], &see].concat(),
        ];
        let mut reduced = Dfs::default();
        let explored = clients.explore(RESET, &scripts, ROWS, &mut reduced, MANY);
        let (found, runs) = explored.await;
        assert_eq!(found.len(), if seen { 5 } else { 1 }, "{change}");
        assert!(runs <= most, "{change}: {runs}");
    }
}
