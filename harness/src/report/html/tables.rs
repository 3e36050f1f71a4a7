//! Rows as tables, with what a violation names in them marked.

use std::collections::BTreeMap;

use maud::{Markup, html};
use rowlock_core::rows::{Cell, Column, Rows, Table};

/// Rows of one table that are shown.
const ROWS_SHOWN: usize = 50;

/// All tables of `rows`. What one of the sentences `places` names is marked as wrong, and what is another
/// value in `before`, or is not there, as changed.
pub fn tables(rows: &Rows, places: &[String], before: Option<&Rows>) -> Markup {
    html! {
        div.tables {
            @for (name, table) in &rows.0 {
                (one_table(name, table, places, before.and_then(|before| before.0.get(name))))
            }
        }
    }
}

fn one_table(name: &str, table: &Table, places: &[String], before: Option<&Table>) -> Markup {
    let before = before.map(|before| by_key(before));
    let more = table.rows.len().saturating_sub(ROWS_SHOWN);
    html! {
        table.rows {
            caption { (name) }
            thead { tr { @for column in &table.columns { th scope="col" { (column.name) } } } }
            tbody {
                @if table.rows.is_empty() {
                    tr { td.none colspan=(table.columns.len().max(1)) { "no rows" } }
                }
                @for row in table.rows.iter().take(ROWS_SHOWN) {
                    (one_row(&Named { table: name, columns: &table.columns, row }, places, before.as_ref()))
                }
                @if more > 0 {
                    tr { td.none colspan=(table.columns.len()) { "and " (more) " more" } }
                }
            }
        }
    }
}

type ByKey<'a> = BTreeMap<Vec<&'a Cell>, &'a Vec<Cell>>;

fn by_key(table: &Table) -> ByKey<'_> {
    let rows = table.rows.iter();
    rows.map(|row| (key(&table.columns, row), row)).collect()
}

fn key<'a>(columns: &[Column], row: &'a [Cell]) -> Vec<&'a Cell> {
    let cells = columns.iter().zip(row);
    let cells = cells.filter(|(column, _)| column.is_key);
    cells.map(|(_, cell)| cell).collect()
}

fn one_row(named: &Named<'_>, places: &[String], before: Option<&ByKey<'_>>) -> Markup {
    let Named { columns, row, .. } = named;
    let is_wrong = places.iter().any(|place| named.row_is_in(place));
    let old = before.map(|before| before.get(&key(columns, row)));
    let is_new = matches!(old, Some(None));
    let changed = |at: usize| matches!(old, Some(Some(old)) if old.get(at) != row.get(at));
    html! {
        tr.wrong[is_wrong].new[is_new] {
            @for (at, cell) in row.iter().enumerate() {
                td.changed[changed(at)] {
                    @match cell {
                        Some(value) => (value),
                        None => span.null { "null" },
                    }
                    @if changed(at) {
                        @if let Some(Some(old)) = old {
                            " " span.old { "was " (old[at].as_deref().unwrap_or("null")) }
                        }
                    }
                    @if at == 0 && is_wrong { " " span.mark { "named above" } }
                    @if at == 0 && is_new { " " span.mark { "new" } }
                }
            }
        }
    }
}

/// A row, as a sentence may name it.
struct Named<'a> {
    table: &'a str,
    columns: &'a [Column],
    row: &'a [Cell],
}

impl Named<'_> {
    /// Whether `place` names this row: `item 1`, `user 1`, or `order (user = 1, item = 2)`.
    fn row_is_in(&self, place: &str) -> bool {
        let table = self.table.trim_matches('"');
        self.key_is_in(place, table) || self.cells_are_in(place, table)
    }

    /// By its key, behind the name of the table or of what the key is of.
    fn key_is_in(&self, place: &str, table: &str) -> bool {
        let cells = self.columns.iter().zip(self.row);
        let keys: Vec<_> = cells.filter(|(column, _)| column.is_key).collect();
        let [(column, Some(value))] = keys[..] else {
            return false;
        };
        let owner = column.name.strip_suffix("_id");
        // Whoever is named further on did something, and nothing need be wrong with the row.
        let is_about = |owner: &str| place.starts_with(&format!("{owner} {value}: "));
        contains_words(place, &format!("{table} {value}")) || owner.is_some_and(is_about)
    }

    /// By some of its cells, in parentheses behind the name of the table.
    fn cells_are_in(&self, place: &str, table: &str) -> bool {
        let begin = format!("{table} (");
        let found = place.match_indices(&begin);
        let cells = found.filter_map(|(at, _)| place[at + begin.len()..].split(')').next());
        let mut cells = cells.filter(|cells| cells.contains(" = "));
        cells.any(|cells| {
            let mut cells = cells.split(", ").map(|cell| cell.split_once(" = "));
            cells.all(|cell| cell.is_some_and(|(name, value)| self.has(name, value)))
        })
    }

    fn has(&self, name: &str, value: &str) -> bool {
        let at = self.columns.iter().position(|column| column.name == name);
        let cell = at.and_then(|at| self.row.get(at));
        cell.is_some_and(|cell| cell.as_deref().unwrap_or("null") == value)
    }
}

/// Whether `text` has `words`, and not as a part of longer ones.
fn contains_words(text: &str, words: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(words).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + words.len()..].chars().next();
        !is_part(before) && !is_part(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(table: &str, columns: &[(&str, bool)], row: &[&str], place: &str) -> bool {
        let columns: Vec<_> = columns
            .iter()
            .map(|(name, is_key)| Column {
                name: (*name).to_owned(),
                is_key: *is_key,
                ..Column::default()
            })
            .collect();
        let row: Vec<_> = row.iter().map(|cell| Some((*cell).to_owned())).collect();
        let named = Named {
            table,
            columns: &columns,
            row: &row,
        };
        named.row_is_in(place)
    }

    #[test]
    fn a_row_is_marked_where_a_sentence_names_it_and_no_other() {
        let item = [("id", true), ("stock", false)];
        let place = "item 1 oversold: stock 1 -> 0";
        assert!(names("item", &item, &["1", "0"], place));
        assert!(!names("item", &item, &["11", "0"], place));
        assert!(!names("item", &item, &["2", "0"], place));
        let wallet = [("user_id", true), ("balance", false)];
        assert!(names("wallet", &wallet, &["3", "0"], "user 3: 500 gone"));
        let code = [("code", false), ("customer", false)];
        let place = "A then B does not leave redemption (code = SPRING, customer = bob), which";
        assert!(names("redemption", &code, &["SPRING", "bob"], place));
        assert!(!names("redemption", &code, &["SPRING", "ada"], place));
    }
}
