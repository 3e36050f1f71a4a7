//! Each rule of the oracle with its twins, and the whole of it against brute force.

use std::collections::{BTreeMap, BTreeSet};

use crate::answer::{Ending, Unknown};
use crate::rows::{Cell, Column, Rows, Table};

use super::{CallIndex, Concurrent, Order, SerialRun, Told};

mod asking;
mod explanations;
mod faults;
mod masks;
mod noise;
mod toy;

/// A table in short: `id*` is a key, `at@` a time, `order_id>order.id` refers to a column; the rows
/// are lines of words, of which `-` is NULL.
fn table(columns: &str, rows: &[&str]) -> Table {
    let column = |word: &str| {
        let (word, refers_to) = match word.split_once('>') {
            Some((word, to)) => (word, to.split_once('.')),
            None => (word, None),
        };
        Column {
            name: word.trim_end_matches(['*', '@']).into(),
            is_key: word.ends_with('*'),
            is_time: word.ends_with('@'),
            refers_to: refers_to.map(|(table, column)| (table.into(), column.into())),
        }
    };
    let cell = |word: &str| -> Cell { (word != "-").then(|| word.into()) };
    Table {
        columns: columns.split_whitespace().map(column).collect(),
        rows: rows
            .iter()
            .map(|row| row.split_whitespace().map(cell).collect())
            .collect(),
    }
}

fn rows<const N: usize>(tables: [(&str, Table); N]) -> Rows {
    let tables = tables
        .into_iter()
        .map(|(name, table)| (name.to_owned(), table));
    Rows(tables.collect())
}

/// The first call of an actor.
fn call(actor: usize) -> CallIndex {
    CallIndex { actor, position: 0 }
}

fn name(call: CallIndex) -> String {
    ["A", "B", "C"][call.actor].into()
}

fn told(ending: Ending, reason: Option<&str>, reply: &str) -> Told {
    Told {
        ending,
        reason: reason.map(str::to_owned),
        body: None,
        reply: reply.into(),
    }
}

fn ok() -> Told {
    told(Ending::Ok, None, "200")
}

fn sold_out() -> Told {
    told(Ending::Refused, Some("sold out"), "422: sold out")
}

fn gave_way() -> Told {
    told(Ending::GaveWay, None, "409")
}

fn unknown() -> Told {
    told(Ending::Unknown(Unknown::TimedOut), None, "no answer")
}

fn serial_run(actors: &[usize], told: &[Told], rows: Rows) -> SerialRun {
    SerialRun {
        order: Order(actors.iter().map(|actor| call(*actor)).collect()),
        told: told.to_vec(),
        rows,
    }
}

/// A run in which each actor made one call.
fn concurrent(told: &[Told], rows: Rows) -> Concurrent {
    let told = told.iter().enumerate();
    let told: BTreeMap<_, _> = told
        .map(|(actor, told)| (call(actor), told.clone()))
        .collect();
    Concurrent {
        told,
        undivided: BTreeSet::new(),
        rows,
    }
}
