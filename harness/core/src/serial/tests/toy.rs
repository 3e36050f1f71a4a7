//! The oracle against brute force, on a toy store of a few cells.
//!
//! The brute force knows nothing of the oracle: it tries every permutation of every subset, runs it
//! afresh, and compares whole stores.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rowlock_testing::seed::for_all;

use super::super::{Atomic, CallIndex, Compared, Concurrent, Explanation, Mask, Oracle, SerialRun};
use super::{gave_way, ok, rows, sold_out, table, unknown};
use crate::rows::{Rows, Table};
use store::{CELLS, End, Op, Program, Script, Store};

mod store;

/// What brute force says of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naive {
    Explained,
    OnlyWithoutRefusals,
    Not,
}

/// Tries every sequence of different calls.
fn brute_force(
    program: &Program,
    atomic: Atomic,
    ends: &BTreeMap<CallIndex, End>,
    lost: &[CallIndex],
    store: &Store,
) -> Naive {
    let mut sequences = vec![Vec::new()];
    let mut best = Naive::Not;
    while let Some(sequence) = sequences.pop() {
        for call in program.calls() {
            if !sequence.contains(&call) {
                sequences.push([sequence.clone(), vec![call]].concat());
            }
        }
        if !keeps_stories(&sequence, atomic) {
            continue;
        }
        let (serial_ends, serial_store) = program.run_serially(&sequence);
        let sorted = |store: &Store| {
            let mut log = store.log.clone();
            log.sort_unstable();
            (store.cells, log)
        };
        if sorted(&serial_store) != sorted(store) {
            continue;
        }
        let inside = sequence.iter().zip(&serial_ends);
        let same = inside
            .clone()
            .all(|(call, end)| lost.contains(call) || ends[call] == *end);
        let mut outside = program.calls();
        outside.retain(|call| !sequence.contains(call) && !lost.contains(call));
        if same && outside.iter().all(|call| ends[call] == End::GaveWay) {
            return Naive::Explained;
        }
        if same && outside.iter().all(|call| ends[call] != End::Served) {
            best = Naive::OnlyWithoutRefusals;
        }
    }
    best
}

fn keeps_stories(sequence: &[CallIndex], atomic: Atomic) -> bool {
    let ordered = (0..sequence.len()).all(|i| {
        (0..i).all(|j| {
            sequence[i].actor != sequence[j].actor || sequence[i].position > sequence[j].position
        })
    });
    let divided = (2..sequence.len()).any(|i| {
        (0..i - 1).any(|j| {
            sequence[j].actor == sequence[i].actor && sequence[i - 1].actor != sequence[i].actor
        })
    });
    ordered && (atomic == Atomic::Call || !divided)
}

fn rows_of(store: &Store) -> Rows {
    let cells = store.cells.iter().enumerate();
    let cells: Vec<_> = cells.map(|(id, value)| format!("{id} {value}")).collect();
    let log: Vec<_> = store
        .log
        .iter()
        .map(|(who, value)| format!("{who} {value}"))
        .collect();
    let table = |columns, rows: &[String]| {
        table(
            columns,
            &rows.iter().map(String::as_str).collect::<Vec<_>>(),
        )
    };
    rows([
        ("cell", table("id* value", &cells)),
        ("log", table("who value", &log)),
    ])
}

fn told_of(end: End) -> super::Told {
    match end {
        End::Served => ok(),
        End::Refused => sold_out(),
        End::GaveWay => gave_way(),
    }
}

/// Makes a run's rows unlike those of any other, in what no call decides.
fn with_noise(mut rows: Rows, run: usize) -> Rows {
    let noise = |table: &mut Table, columns: &str, salt: usize| {
        table.columns.extend(super::table(columns, &[]).columns);
        for (index, row) in table.rows.iter_mut().enumerate() {
            row.push(Some(format!("{run}-{salt}-{index}")));
            row.push(Some((run * 1_000 + index).to_string()));
        }
        let by = run % table.rows.len().max(1);
        table.rows.rotate_left(by);
    };
    let log = rows.0.get_mut("log").expect("it is there");
    noise(log, "token id*", 1);
    let lines: Vec<_> = log
        .rows
        .iter()
        .map(|row| {
            format!(
                "{} {}",
                row[1].as_deref().unwrap_or("-"),
                row[3].as_deref().unwrap_or("-")
            )
        })
        .collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let mut line = table("value log_id>log.id", &lines);
    noise(&mut line, "uuid* at@", 2);
    rows.0.insert("line".into(), line);
    noise(rows.0.get_mut("cell").expect("it is there"), "etag at@", 3);
    rows
}

/// What the oracle says, of rows with noise and without.
fn ask(program: &Program, atomic: Atomic, run: &Concurrent, noisy: bool) -> Explanation {
    let lengths: Vec<_> = program.stories.iter().map(Vec::len).collect();
    let mut oracle = Oracle::new(&lengths, atomic, Compared::Endings, Mask::default()).unwrap();
    let mut runs = 0;
    let mut run_serially = |order: &super::Order| {
        let (ends, store) = program.run_serially(&order.0);
        runs += 1;
        let rows = rows_of(&store);
        SerialRun {
            order: order.clone(),
            told: ends.into_iter().map(told_of).collect(),
            rows: if noisy { with_noise(rows, runs) } else { rows },
        }
    };
    for order in oracle.orders().to_vec() {
        oracle.add(run_serially(&order));
        oracle
            .repeat(run_serially(&order))
            .expect("the toy remembers nothing");
    }
    let mut run = run.clone();
    if noisy {
        run.rows = with_noise(run.rows, 999);
    }
    oracle.explain(&run)
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..CELLS).prop_map(Op::Read),
        2 => (0_i64..3).prop_map(Op::Need),
        3 => (0..CELLS, -1_i64..2).prop_map(|(cell, more)| Op::Write(cell, more)),
        1 => (0..CELLS).prop_map(Op::Lock),
        1 => Just(Op::Log),
    ]
}

/// A sale as services make it: with a lock or without one, mostly of the same cell.
fn sale() -> impl Strategy<Value = Script> {
    (prop::bool::weighted(0.3), cell()).prop_map(|(locked, cell)| {
        let lock = locked.then_some(Op::Lock(cell));
        let sale = [Op::Read(cell), Op::Need(1), Op::Write(cell, -1), Op::Log];
        lock.into_iter().chain(sale).collect()
    })
}

/// Takes a unit and gives it back: whoever is refused in between was told a lie.
fn loan() -> impl Strategy<Value = Script> {
    cell().prop_map(|cell| {
        let (read, take, give) = (Op::Read(cell), Op::Write(cell, -1), Op::Write(cell, 1));
        vec![read, Op::Need(1), take, read, give]
    })
}

fn cell() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0), 1 => 0..CELLS]
}

fn programs() -> impl Strategy<Value = Program> {
    let any = prop::collection::vec(ops(), 0..6);
    let script = prop_oneof![2 => sale(), 1 => loan(), 1 => any];
    let story = prop::collection::vec(script, 1..3);
    let stories = prop::collection::vec(story, 2..4).prop_filter("too many calls", |stories| {
        stories.iter().map(Vec::len).sum::<usize>() <= 4
    });
    let initial = prop::array::uniform(0_i64..3);
    (initial, stories).prop_map(|(initial, stories)| Program { initial, stories })
}

fn atomics() -> impl Strategy<Value = Atomic> {
    prop_oneof![Just(Atomic::Call), Just(Atomic::Story)]
}

#[test]
fn a_run_is_accused_exactly_if_brute_force_finds_no_order() {
    let choices = prop::collection::vec(0_usize..6, 24);
    let lost = prop::collection::vec(prop::bool::weighted(0.08), 4);
    let cases = (programs(), atomics(), choices, lost);
    for_all(512, &cases, |(program, atomic, choices, lost)| {
        let (ends, store) = program.run_at_once(&choices);
        let calls = program.calls().into_iter().zip(lost);
        let lost: Vec<_> = calls
            .filter(|(_, lost)| *lost)
            .map(|(call, _)| call)
            .collect();
        let told = ends.iter().map(|(call, end)| {
            let told = if lost.contains(call) {
                unknown()
            } else {
                told_of(*end)
            };
            (*call, told)
        });
        let run = Concurrent {
            told: told.collect(),
            undivided: Default::default(),
            rows: rows_of(&store),
        };
        let expected = brute_force(&program, atomic, &ends, &lost, &store);
        for noisy in [false, true] {
            let found = match ask(&program, atomic, &run, noisy) {
                Explanation::Explained(_) => Naive::Explained,
                Explanation::UnexplainedRefusal(_) => Naive::OnlyWithoutRefusals,
                Explanation::Unexplained(_) => Naive::Not,
                Explanation::Missing(orders) => panic!("all are known, {orders:?}, too"),
            };
            prop_assert_eq!(found, expected, "noisy: {}", noisy);
        }
        Ok(())
    });
}
