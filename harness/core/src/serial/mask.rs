//! Which columns are not the calls' doing.
//!
//! The one idea: run one order twice, the second time with every sequence moved on and more than a
//! second later. What differs between the two (ids, timestamps, tokens, UUIDs, a time inside of a
//! JSON text) came from elsewhere than from the calls, and its whole column is hidden, in every row
//! of every run. Hiding may overlook, it must never accuse; where there is a choice, more is hidden.
//! A column that only other orders fill is only seen to be noise there, so that whoever is about to
//! accuse repeats every order that could have explained the run.

use std::collections::{BTreeMap, BTreeSet};

use crate::rows::{Column, Rows, Table};

use super::order::CallIndex;
use super::run::Told;

mod learn;

/// The columns that are hidden, and why each of them is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mask {
    /// By table and column.
    columns: BTreeMap<String, BTreeMap<String, Why>>,
    /// Tables that are not compared at all; the user's wish alone.
    ignored: BTreeSet<String>,
    /// Calls whose reasons differed where nothing else did.
    reasons: BTreeSet<CallIndex>,
    /// Calls whose bodies did.
    bodies: BTreeSet<CallIndex>,
}

/// Why a column is hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The contract says so.
    Asked,
    /// Its type is a time.
    Time,
    /// Its values were others when the same order was run again. A value that the calls should
    /// have decided, like a stock, is hidden so, too, if the subject keeps it in memory: the
    /// report shows the two.
    Differed {
        /// A value of the first run that the second did not have.
        first: String,
        /// What the second had in its place.
        second: String,
    },
    /// It refers to a hidden column: what is compared is the row that it refers to.
    Linked {
        /// The table that it refers to.
        table: String,
        /// The column there.
        column: String,
    },
    /// It refers to a hidden column, and to another row when the same order was run again.
    LinkDiffered,
}

/// The same order, run twice from the same rows, came out otherwise: the subject remembers something
/// outside of its rows, or draws lots. Nothing can be claimed of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrepeatable {
    /// A call was told something of another kind.
    #[error("run twice from the same rows, {call} was told \"{first}\" and then \"{second}\"")]
    Answer {
        /// Which call.
        call: CallIndex,
        /// What it was told first.
        first: String,
        /// What it was told the second time.
        second: String,
    },
    /// A table held more or less rows.
    #[error("run twice from the same rows, {table} held {first} rows and then {second}")]
    RowCount {
        /// Which table.
        table: String,
        /// How many rows it held first.
        first: usize,
        /// How many it held the second time.
        second: usize,
    },
    /// A table had other columns.
    #[error("run twice from the same rows, {table} had other columns the second time")]
    Columns {
        /// Which table.
        table: String,
    },
}

/// What of a table is looked at, by the indices of its columns.
#[derive(Debug)]
pub(super) struct View {
    /// Those that are compared by their values.
    pub(super) visible: Vec<usize>,
    /// Those that are compared by what they refer to: a table and a column.
    pub(super) linked: Vec<(usize, (String, String))>,
}

impl Mask {
    /// What two runs of one order show to be noise.
    ///
    /// # Errors
    /// Where a table has more or less rows in the second.
    pub fn of(first: &Rows, second: &Rows) -> Result<Self, Unrepeatable> {
        let mut mask = Mask::default();
        mask.learn(first, second)?;
        Ok(mask)
    }

    /// Hides a whole table, the count of its rows included.
    pub fn ignore_table(&mut self, table: &str) {
        self.ignored.insert(table.into());
    }

    /// Hides a column, and by [`Mask::settle`] what refers to it.
    pub fn ignore_column(&mut self, table: &str, column: &str) {
        self.hide(table, column, Why::Asked);
    }

    /// Each hidden column with its table and the reason, in the order of their names.
    pub fn hidden(&self) -> impl Iterator<Item = (&str, &str, &Why)> {
        self.columns.iter().flat_map(|(table, columns)| {
            let columns = columns.iter();
            columns.map(move |(column, why)| (table.as_str(), column.as_str(), why))
        })
    }

    /// Whether `table` is not compared at all.
    pub fn ignores(&self, table: &str) -> bool {
        self.ignored.contains(table)
    }

    /// Why a column is hidden, if it is.
    pub fn why(&self, table: &str, column: &str) -> Option<&Why> {
        self.columns.get(table)?.get(column)
    }

    /// Hides what needs no second run: columns of time types, and what refers to a hidden column.
    /// Returns whether that was anything new.
    pub fn settle(&mut self, rows: &Rows) -> bool {
        let mut grew = false;
        for (table, column) in columns_of(rows) {
            if column.is_time && self.why(table, &column.name).is_none() {
                self.hide(table, &column.name, Why::Time);
                grew = true;
            }
        }
        while self.link(rows) {
            grew = true;
        }
        grew
    }

    /// Makes a link of each column that refers to a hidden one; one that was found to differ by its
    /// values was too hastily judged.
    fn link(&mut self, rows: &Rows) -> bool {
        let mut grew = false;
        for (table, column) in columns_of(rows) {
            let Some((to_table, to_column)) = &column.refers_to else {
                continue;
            };
            let is_hidden = self.ignores(to_table) || self.why(to_table, to_column).is_some();
            let may_link = matches!(
                self.why(table, &column.name),
                None | Some(Why::Differed { .. })
            );
            if is_hidden && may_link {
                let (to_table, to_column) = (to_table.clone(), to_column.clone());
                let why = Why::Linked {
                    table: to_table,
                    column: to_column,
                };
                self.hide(table, &column.name, why);
                grew = true;
            }
        }
        grew
    }

    fn hide(&mut self, table: &str, column: &str, why: Why) {
        let columns = self.columns.entry(table.into()).or_default();
        columns.insert(column.into(), why);
    }

    /// Hides the reason or the body of a call that the same order told two of.
    pub(super) fn learn_told(&mut self, call: CallIndex, first: &Told, second: &Told) {
        if !first.has_reason_of(second) {
            self.reasons.insert(call);
        }
        if !first.has_body_of(second) {
            self.bodies.insert(call);
        }
    }

    /// Whether the run and a serial run that tell `call` these name no different reasons.
    pub(super) fn same_reason(&self, call: CallIndex, run: &Told, serial: &Told) -> bool {
        self.reasons.contains(&call) || run.has_reason_of(serial)
    }

    /// Whether the two have no different bodies.
    pub(super) fn same_body(&self, call: CallIndex, run: &Told, serial: &Told) -> bool {
        self.bodies.contains(&call) || run.has_body_of(serial)
    }

    pub(super) fn view(&self, name: &str, table: &Table) -> View {
        let (mut visible, mut linked) = (Vec::new(), Vec::new());
        for (index, column) in table.columns.iter().enumerate() {
            match self.why(name, &column.name) {
                None => visible.push(index),
                Some(Why::Linked { table, column }) => {
                    linked.push((index, (table.clone(), column.clone())));
                }
                Some(_) => {}
            }
        }
        View { visible, linked }
    }
}

fn columns_of(rows: &Rows) -> impl Iterator<Item = (&str, &Column)> {
    rows.0.iter().flat_map(|(name, table)| {
        let columns = table.columns.iter();
        columns.map(move |column| (name.as_str(), column))
    })
}
