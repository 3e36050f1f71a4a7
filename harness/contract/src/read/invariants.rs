//! `[[invariants]]`.

use super::context::Referent;
use super::entry::Entry;
use super::table::Table;
use crate::expression::Expression;
use crate::invariant::{Invariant, Predicate};

pub(super) fn all(table: &Table<'_, '_>) -> Vec<Invariant> {
    let invariants = table.get("invariants");
    invariants.map(|it| it.each(invariant)).unwrap_or_default()
}

fn invariant(entry: &Entry<'_, '_>) -> Option<Invariant> {
    let table = entry.table()?;
    let name = table.require("name").and_then(|it| it.name());
    table.one_of(&["violations", "number"]);
    let violations = table.get("violations").and_then(|it| it.template());
    let query = table.get("number").and_then(|it| it.template());
    let holds = match (&query, table.get("holds")) {
        (Some(_), None) => table.require("holds"),
        (None, Some(it)) if violations.is_some() => it.wrong("`holds` is about a `number`"),
        (_, holds) => holds,
    };
    let holds = holds.and_then(|it| expression(&it));
    table.end();
    let predicate = match (violations, query) {
        (Some(violations), _) => Predicate::NoRows(violations),
        (None, Some(query)) => Predicate::Number {
            query,
            holds: holds?,
        },
        (None, None) => return None,
    };
    Some(Invariant {
        name: name?,
        predicate,
        line: entry.line(),
    })
}

fn expression(entry: &Entry<'_, '_>) -> Option<Expression> {
    let expression = entry.noted(Expression::parse(entry.text()?))?;
    for call in expression.calls() {
        entry.context.refers(Referent::Call, call, &entry.key);
    }
    Some(expression)
}
