//! The least set of columns whose hiding makes two runs of one order equal, as far as greed finds it.
//!
//! Columns first: one whose values, as a multiset, are not the same in both is noise. Then rows:
//! where each column holds the same values and the rows are still others, values have changed
//! places. Rows are told apart by a key that is in sight, and the columns in which the two rows of a
//! key differ are hidden; without such a key, every column in which the rows left over differ among
//! themselves. Then links, which are hidden where they refer to other rows. Each step hides at least
//! one column, so that it ends.

use std::collections::{BTreeMap, BTreeSet};

use crate::rows::{Cell, Rows, Table};

use super::super::difference::unmatched;
use super::super::digest::colours;
use super::{Mask, Unrepeatable, Why};

static NO_ROWS: Table = Table {
    columns: Vec::new(),
    rows: Vec::new(),
};

impl Mask {
    /// Hides what differs between two runs of one order, beside what is hidden.
    ///
    /// # Errors
    /// Where a table has more or less rows, or other columns, in the second.
    pub fn learn(&mut self, first: &Rows, second: &Rows) -> Result<(), Unrepeatable> {
        self.settle(first);
        self.settle(second);
        loop {
            let mut grew = false;
            for name in self.compared(first, second) {
                let [one, other] = [first, second].map(|rows| rows.0.get(&name));
                let (one, other) = (one.unwrap_or(&NO_ROWS), other.unwrap_or(&NO_ROWS));
                check_shape(&name, one, other)?;
                grew |= self.hide_columns(&name, one, other);
            }
            grew |= self.settle(first) | self.settle(second);
            if grew {
                continue;
            }
            if !self.hide_rows(first, second) && !self.hide_links(first, second) {
                return Ok(());
            }
            self.settle(first);
            self.settle(second);
        }
    }

    fn compared(&self, first: &Rows, second: &Rows) -> BTreeSet<String> {
        let names = first.0.keys().chain(second.0.keys());
        names.filter(|name| !self.ignores(name)).cloned().collect()
    }

    /// Hides each column whose values are not the same multiset in both.
    fn hide_columns(&mut self, name: &str, first: &Table, second: &Table) -> bool {
        let mut grew = false;
        for index in self.view(name, first).visible {
            let [one, other] = [first, second].map(|table| values(table, index));
            let place = one.iter().zip(&other).find(|(one, other)| one != other);
            if let Some((one, other)) = place {
                let text = |cell: &Option<&str>| cell.unwrap_or("null").to_owned();
                let why = Why::Differed {
                    first: text(one),
                    second: text(other),
                };
                self.hide(name, &first.columns[index].name, why);
                grew = true;
            }
        }
        grew
    }

    /// Hides columns of tables whose rows are others though each column holds the same values.
    fn hide_rows(&mut self, first: &Rows, second: &Rows) -> bool {
        let mut grew = false;
        for (name, one) in &first.0 {
            let Some(other) = second.0.get(name).filter(|_| !self.ignores(name)) else {
                continue;
            };
            let visible = self.view(name, one).visible;
            let (left, right) = unmatched(one, other, &visible);
            let moved = moved_by_key(one, &visible, &left, &right)
                .unwrap_or_else(|| moved_at_all(&visible, &left));
            for (index, first, second) in moved {
                let [first, second] =
                    [first, second].map(|cell| cell.unwrap_or_else(|| "null".into()));
                self.hide(
                    name,
                    &one.columns[index].name,
                    Why::Differed { first, second },
                );
                grew = true;
            }
        }
        grew
    }

    /// Hides the links of tables whose rows refer to others.
    fn hide_links(&mut self, first: &Rows, second: &Rows) -> bool {
        let sorted = |rows, mask: &Mask| {
            let mut colours: BTreeMap<_, Vec<u64>> = colours(rows, mask);
            colours
                .values_mut()
                .for_each(|colours| colours.sort_unstable());
            colours
                .into_iter()
                .map(|(name, colours)| (name.to_owned(), colours))
                .collect()
        };
        let (one, other): (BTreeMap<String, _>, BTreeMap<String, _>) =
            (sorted(first, self), sorted(second, self));
        let differ = one
            .into_iter()
            .filter(|(name, colours)| other.get(name) != Some(colours));
        let mut grew = false;
        for (name, _) in differ {
            for why in self
                .columns
                .get_mut(&name)
                .into_iter()
                .flat_map(BTreeMap::values_mut)
            {
                if matches!(why, Why::Linked { .. }) {
                    *why = Why::LinkDiffered;
                    grew = true;
                }
            }
        }
        grew
    }
}

fn check_shape(name: &str, first: &Table, second: &Table) -> Result<(), Unrepeatable> {
    if first.rows.len() != second.rows.len() {
        return Err(Unrepeatable::RowCount {
            table: name.into(),
            first: first.rows.len(),
            second: second.rows.len(),
        });
    }
    if !first.rows.is_empty() && first.columns != second.columns {
        return Err(Unrepeatable::Columns { table: name.into() });
    }
    Ok(())
}

/// The values of one column, sorted.
fn values(table: &Table, column: usize) -> Vec<Option<&str>> {
    let mut values: Vec<_> = table
        .rows
        .iter()
        .map(|row| row.get(column).and_then(Option::as_deref))
        .collect();
    values.sort_unstable();
    values
}

/// A column by its index, with a value of the first run and one of the second.
type Moved = (usize, Cell, Cell);

/// The columns in which the rows of the same key differ; none where no key tells the rows apart.
fn moved_by_key(
    table: &Table,
    visible: &[usize],
    left: &[&Vec<Cell>],
    right: &[&Vec<Cell>],
) -> Option<Vec<Moved>> {
    let key: Vec<_> = (0..table.columns.len())
        .filter(|index| table.columns[*index].is_key)
        .collect();
    if key.is_empty() || !key.iter().all(|index| visible.contains(index)) {
        return None;
    }
    let key_of = |row: &Vec<Cell>| -> Vec<Cell> {
        key.iter()
            .map(|index| row.get(*index).cloned().flatten())
            .collect()
    };
    let by_key = |rows: &[&'_ Vec<Cell>]| -> BTreeMap<Vec<Cell>, Vec<Cell>> {
        rows.iter()
            .map(|row| (key_of(row), (*row).clone()))
            .collect()
    };
    let (left, right) = (by_key(left), by_key(right));
    if !left.keys().eq(right.keys()) {
        return None;
    }
    let mut moved: BTreeMap<usize, Moved> = BTreeMap::new();
    for (one, other) in left.values().zip(right.values()) {
        for index in visible {
            let [one, other] = [one, other].map(|row| row.get(*index).cloned().flatten());
            if one != other {
                moved.entry(*index).or_insert((*index, one, other));
            }
        }
    }
    Some(moved.into_values().collect())
}

/// The columns in which the rows left over differ among themselves. Where each column holds the same
/// values in both runs, the rows left over of the second show no others.
fn moved_at_all(visible: &[usize], left: &[&Vec<Cell>]) -> Vec<Moved> {
    let column = |index: &usize| {
        let mut values = left.iter().map(|row| row.get(*index).cloned().flatten());
        let first = values.next()?;
        let other = values.find(|value| *value != first)?;
        Some((*index, first, other))
    };
    visible.iter().filter_map(column).collect()
}
