//! What an oracle found, in a sentence for people.

use std::collections::BTreeMap;

use crate::rows::Cell;

use super::difference::{CellDifference, Nearest, Presence, RowDifference};
use super::explanation::UnexplainedRefusal;
use super::order::CallIndex;
use super::run::Concurrent;

/// How many cells, rows or answers a sentence names.
const NAMED: usize = 3;

impl Nearest {
    /// The nearest order against the run: `A then B leaves item 1 stock = 3; this run left 4, and
    /// both were told 200`. `name` says what a call is called.
    pub fn sentence(&self, run: &Concurrent, name: impl Fn(CallIndex) -> String) -> String {
        let order = self.order.describe(&name);
        let mut clauses = Vec::new();
        if let Some(cells) = describe_cells(&self.cells) {
            clauses.push(cells);
        }
        for (presence, ours, theirs) in [
            (Presence::Missing, "leaves", "which this run did not"),
            (Presence::Extra, "does not leave", "which this run did"),
        ] {
            let rows = self.rows.iter().filter(|row| row.presence == presence);
            if let Some(rows) = describe_rows(&rows.collect::<Vec<_>>()) {
                clauses.push(format!("{ours} {rows}, {theirs}"));
            }
        }
        let answers = self.answers.iter().take(NAMED).map(|answer| {
            let who = name(answer.call);
            format!(
                "tells {who} \"{}\"; this run told it \"{}\"",
                answer.serial.reply, answer.run.reply
            )
        });
        clauses.extend(answers);
        clauses.extend(more(self.answers.len(), "answer"));
        let told = describe_told(run, &name);
        match clauses.is_empty() {
            true => format!("{order} leaves the same rows, {told}"),
            false => format!("{order} {}, {told}", clauses.join("; the order ")),
        }
    }
}

impl UnexplainedRefusal {
    /// What was refused, and what would make it no finding. `name` says what a call is called, and
    /// `rule` is the line of the contract that would call the answer a conflict.
    pub fn sentence(&self, name: impl Fn(CallIndex) -> String, rule: &str) -> String {
        let refused = self.refused.iter();
        let told: Vec<_> = refused
            .map(|(call, told)| format!("{} was told \"{}\"", name(*call), told.reply))
            .collect();
        let instead = match self.instead.is_empty() {
            true => String::new(),
            false => format!(" (they tell it \"{}\")", self.instead.join("\" or \"")),
        };
        let order = self.order.describe(&name);
        format!(
            "{}, which no serial order tells{instead}; the rows are those of {order}. If the service \
             gives way by design, the contract says so: {rule}",
            told.join(" and ")
        )
    }
}

/// `leaves item 1 stock = 3 and item 2 stock = 0; this run left 4 and 1`.
fn describe_cells(cells: &[CellDifference]) -> Option<String> {
    if cells.is_empty() {
        return None;
    }
    let named = &cells[..cells.len().min(NAMED)];
    let serial: Vec<_> = named
        .iter()
        .map(|cell| {
            let CellDifference {
                table, row, column, ..
            } = cell;
            format!(
                "{} {row} {column} = {}",
                unquoted(table),
                text(&cell.serial)
            )
        })
        .collect();
    let run: Vec<_> = named.iter().map(|cell| text(&cell.run)).collect();
    let more = more(cells.len(), "cell").map(|more| format!(" ({more})"));
    let (serial, run) = (serial.join(" and "), run.join(" and "));
    Some(format!(
        "leaves {serial}; this run left {run}{}",
        more.unwrap_or_default()
    ))
}

/// `order (user = 1, item = 2) and order (user = 3, item = 2)`.
fn describe_rows(rows: &[&RowDifference]) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let named = rows.iter().take(NAMED);
    let named: Vec<_> = named
        .map(|row| format!("{} ({})", unquoted(&row.table), row.row))
        .collect();
    let more = more(rows.len(), "row").map(|more| format!(" ({more})"));
    Some(format!(
        "{}{}",
        named.join(" and "),
        more.unwrap_or_default()
    ))
}

/// `and 2 more cells`, beyond those that are named.
fn more(count: usize, what: &str) -> Option<String> {
    match count.saturating_sub(NAMED) {
        0 => None,
        1 => Some(format!("and 1 more {what}")),
        more => Some(format!("and {more} more {what}s")),
    }
}

/// `and both were told 200`; `and A was told 200, B 409`.
fn describe_told(run: &Concurrent, name: impl Fn(CallIndex) -> String) -> String {
    let mut by_reply: BTreeMap<&str, usize> = BTreeMap::new();
    for told in run.told.values() {
        *by_reply.entry(&told.reply).or_default() += 1;
    }
    match (
        by_reply.keys().collect::<Vec<_>>().as_slice(),
        run.told.len(),
    ) {
        ([], _) => "and nobody was told anything".into(),
        ([reply], 2) => format!("and both were told {reply}"),
        ([reply], count) if count > 2 => format!("and all {count} were told {reply}"),
        _ => {
            let each = run.told.iter().enumerate().map(|(index, (call, told))| {
                let was_told = if index == 0 { " was told" } else { "" };
                format!("{}{was_told} {}", name(*call), told.reply)
            });
            format!("and {}", each.collect::<Vec<_>>().join(", "))
        }
    }
}

fn text(cell: &Cell) -> &str {
    cell.as_deref().unwrap_or("null")
}

/// A table's name without the quotes that SQL needs.
fn unquoted(table: &str) -> String {
    table.replace('"', "")
}
