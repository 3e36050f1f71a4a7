//! What differs between a run and a serial order, cell by cell.
//!
//! The one idea: rows that both hold are struck out; of what is left, rows of the same key are the
//! same row with other cells, and without a key those that have most cells in common. What finds no
//! partner is missing or extra. Links ([`Why::Linked`](super::Why::Linked)) are looked at only where
//! nothing else differs: a changed row would else show in each row that refers to it, too.

use std::collections::BTreeSet;

use crate::rows::{Cell, Column, Rows, Table};

use super::digest::{DEPTH, linked_text};
use super::mask::Mask;
use super::order::{CallIndex, Order};
use super::run::Told;
use pairs::{Row, pair};

mod pairs;

pub(super) use pairs::unmatched;

/// The serial order that is nearest to a run that none explains, and what differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// The order.
    pub order: Order,
    /// The calls that it leaves out.
    pub left_out: Vec<CallIndex>,
    /// The calls that are told something else in it.
    pub answers: Vec<AnswerDifference>,
    /// The cells that are others in it.
    pub cells: Vec<CellDifference>,
    /// The rows that only one of the two has.
    pub rows: Vec<RowDifference>,
}

/// A call that was told something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerDifference {
    /// Which call.
    pub call: CallIndex,
    /// What the serial order tells it.
    pub serial: Told,
    /// What the run told it.
    pub run: Told,
}

/// A cell of a row that both have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellDifference {
    /// The table.
    pub table: String,
    /// Which row: the values of its key, or else some of the cells that are the same in both.
    pub row: String,
    /// The column.
    pub column: String,
    /// What the serial order leaves.
    pub serial: Cell,
    /// What the run left.
    pub run: Cell,
}

/// A row that only one of the two has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowDifference {
    /// The table.
    pub table: String,
    /// Its visible cells: `user = 1, item = 2`.
    pub row: String,
    /// Which of the two has it.
    pub presence: Presence,
    /// How many visible cells it has, at least 1.
    pub cells: usize,
}

/// Which of the two has a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The serial order leaves it, and the run did not.
    Missing,
    /// The run left it, and the serial order does not.
    Extra,
}

impl Nearest {
    /// How far the order is from the run: cells and answers that differ. A row that only one of
    /// them has counts each of its cells.
    pub fn distance(&self) -> usize {
        let rows = self.rows.iter().map(|row| row.cells).sum::<usize>();
        self.answers.len() + self.cells.len() + rows
    }
}

/// The differing cells and rows of the tables `names`.
pub(super) fn compare(
    serial: &Rows,
    run: &Rows,
    mask: &Mask,
    names: &BTreeSet<&str>,
) -> (Vec<CellDifference>, Vec<RowDifference>) {
    let plain = compare_tables(serial, run, mask, names, project_plain);
    if plain.0.is_empty() && plain.1.is_empty() {
        return compare_tables(serial, run, mask, names, project_linked);
    }
    plain
}

/// What of a table is compared: the columns in sight, and the rows' cells in them.
type Project = fn(&Rows, &str, &Table, &Mask) -> Table;

fn compare_tables(
    serial: &Rows,
    run: &Rows,
    mask: &Mask,
    names: &BTreeSet<&str>,
    project: Project,
) -> (Vec<CellDifference>, Vec<RowDifference>) {
    let (mut cells, mut rows) = (Vec::new(), Vec::new());
    for &name in names {
        let [one, other] = [serial, run].map(|rows| {
            let table = rows.0.get(name);
            table
                .map(|table| project(rows, name, table, mask))
                .unwrap_or_default()
        });
        compare_table(name, &one, &other, &mut cells, &mut rows);
    }
    (cells, rows)
}

fn project_plain(_: &Rows, name: &str, table: &Table, mask: &Mask) -> Table {
    let visible = mask.view(name, table).visible;
    let has_key = shows_key(table, &visible);
    let columns = visible.iter().map(|index| Column {
        is_key: has_key && table.columns[*index].is_key,
        ..table.columns[*index].clone()
    });
    let rows = table.rows.iter().map(|row| {
        let cells = visible
            .iter()
            .map(|index| row.get(*index).cloned().flatten());
        cells.collect()
    });
    Table {
        columns: columns.collect(),
        rows: rows.collect(),
    }
}

fn project_linked(rows: &Rows, name: &str, table: &Table, mask: &Mask) -> Table {
    let mut projected = project_plain(rows, name, table, mask);
    for (index, (to_table, to_column)) in mask.view(name, table).linked {
        projected.columns.push(Column {
            is_key: false,
            ..table.columns[index].clone()
        });
        for (row, projected) in table.rows.iter().zip(&mut projected.rows) {
            let cell = row.get(index).cloned().flatten();
            projected.push(linked_text(
                rows,
                mask,
                (&to_table, &to_column),
                &cell,
                DEPTH,
            ));
        }
    }
    projected
}

/// Whether the whole primary key, if there is one, is in sight.
fn shows_key(table: &Table, visible: &[usize]) -> bool {
    let columns = table.columns.iter().enumerate();
    let mut hidden = columns.filter(|(index, column)| column.is_key && !visible.contains(index));
    hidden.next().is_none()
}

fn compare_table(
    name: &str,
    serial: &Table,
    run: &Table,
    cells: &mut Vec<CellDifference>,
    rows: &mut Vec<RowDifference>,
) {
    let columns = if serial.rows.is_empty() {
        &run.columns
    } else {
        &serial.columns
    };
    let all: Vec<_> = (0..columns.len()).collect();
    let (missing, extra) = unmatched(serial, run, &all);
    let (pairs, missing, extra) = pair(columns, missing, extra);
    for (one, other) in pairs {
        let row = describe_pair(columns, one, other);
        for (index, column) in columns.iter().enumerate() {
            let [serial, run] = [one, other].map(|row| row.get(index).cloned().flatten());
            if serial != run {
                cells.push(CellDifference {
                    table: name.into(),
                    row: row.clone(),
                    column: column.name.clone(),
                    serial,
                    run,
                });
            }
        }
    }
    let sides = [(missing, Presence::Missing), (extra, Presence::Extra)];
    for (side, presence) in sides {
        rows.extend(side.into_iter().map(|row| RowDifference {
            table: name.into(),
            row: describe_cells(columns, row, |_| true).join(", "),
            presence,
            cells: columns.len().max(1),
        }));
    }
}

/// A row by its key's values, or else by the first cells that are the same in both.
fn describe_pair(columns: &[Column], one: &Row, other: &Row) -> String {
    if columns.iter().any(|column| column.is_key) {
        let key = one.iter().zip(columns).filter(|(_, column)| column.is_key);
        let values: Vec<_> = key
            .map(|(cell, _)| cell.as_deref().unwrap_or("null"))
            .collect();
        return values.join(", ");
    }
    let same = describe_cells(columns, one, |index| one.get(index) == other.get(index));
    let first: Vec<_> = same.into_iter().take(3).collect();
    format!("({})", first.join(", "))
}

fn describe_cells(columns: &[Column], row: &Row, which: impl Fn(usize) -> bool) -> Vec<String> {
    let cells = columns.iter().zip(row).enumerate();
    let cells = cells.filter(|(index, _)| which(*index));
    let text = cells.map(|(_, (column, cell))| {
        format!("{} = {}", column.name, cell.as_deref().unwrap_or("null"))
    });
    text.collect()
}
