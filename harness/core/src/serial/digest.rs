//! What is left of rows under a mask, in a few numbers.
//!
//! The one idea: the rows of a table are a multiset, and so is the sum of their hashes. Two sums of
//! 64 bits each stand for a table; rows that differ and have the same sums would be overlooked, and
//! never accused.
//!
//! A generated key is noise, but what refers to it is not: `order_line` belongs to *some* order, of
//! some user. A [`Why::Linked`](super::Why::Linked) column is therefore seen as the row that it
//! refers to, as far as that is visible, and so on over [`DEPTH`] references (the colour refinement
//! of graphs, in one direction and cut off). Rows that differ by nothing but the names of keys have
//! the same colours, so that links never accuse either.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::rows::{Cell, Rows, Table};

use super::mask::{Mask, View};

/// Over how many references a row is looked at.
pub(super) const DEPTH: usize = 3;

/// The tables that hold rows, each by the two sums of its rows' colours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Digest(BTreeMap<String, (u64, u64)>);

impl Digest {
    pub(super) fn of(rows: &Rows, mask: &Mask) -> Self {
        let sums = colours(rows, mask).into_iter().map(|(table, colours)| {
            let sum = colours.into_iter().fold((0_u64, 0_u64), |sum, colour| {
                (sum.0.wrapping_add(colour), sum.1.wrapping_add(mix(colour)))
            });
            (table.to_owned(), sum)
        });
        Digest(sums.collect())
    }

    /// The tables that are others in `other`.
    pub(super) fn differing<'a>(&'a self, other: &'a Digest) -> BTreeSet<&'a str> {
        let names = self.0.keys().chain(other.0.keys());
        let differing = names.filter(|name| self.0.get(*name) != other.0.get(*name));
        differing.map(String::as_str).collect()
    }
}

/// The colour of each row, by table; a table without rows is none.
pub(super) fn colours<'a>(rows: &'a Rows, mask: &Mask) -> BTreeMap<&'a str, Vec<u64>> {
    let seen = rows
        .0
        .iter()
        .filter(|(name, table)| !mask.ignores(name) && !table.rows.is_empty());
    let tables: Vec<_> = seen
        .map(|(name, table)| (name.as_str(), table, mask.view(name, table)))
        .collect();
    let plain = tables.iter().map(|(name, table, view)| {
        let colours = table.rows.iter().map(|row| view.colour(row));
        (*name, colours.collect::<Vec<_>>())
    });
    let plain: BTreeMap<_, _> = plain.collect();
    let mut colours = plain.clone();
    if tables.iter().all(|(_, _, view)| view.linked.is_empty()) {
        return colours;
    }
    for _ in 0..DEPTH {
        let mut deeper = plain.clone();
        for (name, table, view) in &tables {
            for (column, (to_table, to_column)) in &view.linked {
                let referred = by_value(rows, &colours, to_table, to_column);
                let own = deeper.get_mut(name).into_iter().flatten();
                for (row, colour) in table.rows.iter().zip(own) {
                    let cell = row.get(*column).and_then(Option::as_deref);
                    let link = cell.map(|value| referred.get(value));
                    *colour = hash_of((*colour, link));
                }
            }
        }
        colours = deeper;
    }
    colours
}

/// The colours of the rows of a table, by the values of one of its columns.
fn by_value<'a>(
    rows: &'a Rows,
    colours: &BTreeMap<&str, Vec<u64>>,
    table: &str,
    column: &str,
) -> HashMap<&'a str, u64> {
    let mut by_value: HashMap<&str, u64> = HashMap::new();
    let (Some(held), Some(colours)) = (rows.0.get(table), colours.get(table)) else {
        return by_value;
    };
    let Some(column) = held.columns.iter().position(|it| it.name == column) else {
        return by_value;
    };
    for (row, colour) in held.rows.iter().zip(colours) {
        if let Some(Some(value)) = row.get(column) {
            let sum = by_value.entry(value).or_default();
            *sum = sum.wrapping_add(*colour);
        }
    }
    by_value
}

/// What a linked cell shows of the row that it refers to, over `depth` references.
pub(super) fn linked_text(
    rows: &Rows,
    mask: &Mask,
    to: (&str, &str),
    cell: &Cell,
    depth: usize,
) -> Cell {
    let value = cell.as_ref()?;
    let (name, column) = to;
    let referred = (depth > 0 && !mask.ignores(name))
        .then(|| rows.0.get(name))
        .flatten()
        .and_then(|table| Some((table, find_row(table, column, value)?)));
    let Some((table, row)) = referred else {
        return Some(format!("a row of {name}"));
    };
    let view = mask.view(name, table);
    let mut parts = view.name_cells(table, row);
    for (index, (to_table, to_column)) in &view.linked {
        let cell = row.get(*index).cloned().flatten();
        let text = linked_text(rows, mask, (to_table, to_column), &cell, depth - 1);
        parts.push(text.unwrap_or_else(|| "nothing".into()));
    }
    Some(format!("{name} ({})", parts.join(", ")))
}

fn find_row<'a>(table: &'a Table, column: &str, value: &str) -> Option<&'a Vec<Cell>> {
    let column = table.columns.iter().position(|it| it.name == column)?;
    let mut rows = table.rows.iter();
    rows.find(|row| {
        row.get(column)
            .is_some_and(|cell| cell.as_deref() == Some(value))
    })
}

/// Its keys are constants, so that the same cells have the same hash in each run.
fn hash_of(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// SplitMix64's finaliser: a second, unrelated summand for each colour.
fn mix(colour: u64) -> u64 {
    let colour = (colour ^ (colour >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let colour = (colour ^ (colour >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    colour ^ (colour >> 31)
}

impl View {
    fn colour(&self, row: &[Cell]) -> u64 {
        let mut hasher = DefaultHasher::new();
        for column in &self.visible {
            row.get(*column).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The visible cells of a row, in the order of the columns.
    pub(super) fn visible_cells<'a>(&self, row: &'a [Cell]) -> Vec<Option<&'a Cell>> {
        self.visible.iter().map(|column| row.get(*column)).collect()
    }

    /// The visible cells of a row, each with its column's name.
    pub(super) fn name_cells(&self, table: &Table, row: &[Cell]) -> Vec<String> {
        let cells = self.visible.iter().zip(self.visible_cells(row));
        let text = cells.map(|(column, cell)| {
            let value = cell.and_then(Option::as_deref).unwrap_or("null");
            format!("{} = {value}", table.columns[*column].name)
        });
        text.collect()
    }
}
