//! Which rows of two tables are the same row.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::rows::{Cell, Column, Table};

/// Beyond this many pairs of rows of a table without a visible key, none are sought.
const PAIRS_LIMIT: usize = 10_000;

pub(super) type Row = Vec<Cell>;

/// The rows of each that the other does not have, in these columns; as often as they are more.
/// They are sorted, so that nothing depends on the order in which a table was read.
pub(in super::super) fn unmatched<'a>(
    one: &'a Table,
    other: &'a Table,
    columns: &[usize],
) -> (Vec<&'a Row>, Vec<&'a Row>) {
    let project = |row: &'a Row| -> Vec<Option<&'a Cell>> {
        columns.iter().map(|index| row.get(*index)).collect()
    };
    let mut held: HashMap<_, Vec<&Row>> = HashMap::new();
    for row in &one.rows {
        held.entry(project(row)).or_default().push(row);
    }
    let mut right = Vec::new();
    for row in &other.rows {
        if held.get_mut(&project(row)).and_then(Vec::pop).is_none() {
            right.push(row);
        }
    }
    let mut left: Vec<_> = held.into_values().flatten().collect();
    left.sort_unstable();
    right.sort_unstable();
    (left, right)
}

pub(super) type Pairs<'a> = Vec<(&'a Row, &'a Row)>;

/// Rows that are the same row in both, and those that are only in one of them.
pub(super) fn pair<'a>(
    columns: &[Column],
    mut left: Vec<&'a Row>,
    mut right: Vec<&'a Row>,
) -> (Pairs<'a>, Vec<&'a Row>, Vec<&'a Row>) {
    let key: Vec<_> = (0..columns.len())
        .filter(|index| columns[*index].is_key)
        .collect();
    let mut pairs = Vec::new();
    if !key.is_empty() {
        let key_of = |row: &'a Row| -> Vec<_> { key.iter().map(|index| row.get(*index)).collect() };
        let mut by_key: BTreeMap<_, _> = right.iter().map(|row| (key_of(row), *row)).collect();
        left.retain(|row| {
            let partner = by_key.remove(&key_of(row));
            pairs.extend(partner.map(|partner| (*row, partner)));
            partner.is_none()
        });
        return (pairs, left, by_key.into_values().collect());
    }
    if left.len().saturating_mul(right.len()) > PAIRS_LIMIT {
        return (pairs, left, right);
    }
    let common = |one: &Row, other: &Row| one.iter().zip(other).filter(|(a, b)| a == b).count();
    let mut candidates = Vec::new();
    for (i, one) in left.iter().enumerate() {
        for (j, other) in right.iter().enumerate() {
            candidates.push((Reverse(common(one, other)), i, j));
        }
    }
    candidates.retain(|(common, _, _)| common.0 > 0);
    candidates.sort_unstable();
    let (mut left_taken, mut right_taken) = (BTreeSet::new(), BTreeSet::new());
    for (_, i, j) in candidates {
        if !left_taken.contains(&i) && !right_taken.contains(&j) {
            left_taken.insert(i);
            right_taken.insert(j);
            pairs.push((left[i], right[j]));
        }
    }
    (
        pairs,
        without(&mut left, &left_taken),
        without(&mut right, &right_taken),
    )
}

fn without<'a>(rows: &mut Vec<&'a Row>, taken: &BTreeSet<usize>) -> Vec<&'a Row> {
    let rows = rows.drain(..).enumerate();
    let rest = rows.filter(|(index, _)| !taken.contains(index));
    rest.map(|(_, row)| row).collect()
}
