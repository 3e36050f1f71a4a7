//! The forms of SQL that footprints are read from: names, assignments, and what is plain.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Ident, ObjectName, Query, SetExpr, Statement, TableFactor,
    TableWithJoins, Visit, Visitor, visit_relations,
};

/// Functions that depend on nothing but their arguments, or on the time.
const PURE: &[&str] = &[
    "abs",
    "array_positions",
    "avg",
    "cardinality",
    "coalesce",
    "count",
    "current_timestamp",
    "greatest",
    "least",
    "length",
    "lower",
    "max",
    "min",
    "now",
    "nullif",
    "sum",
    "upper",
];

/// The name of the only table of a FROM item, if it is one.
pub(super) fn table_of(from: &TableWithJoins) -> Option<String> {
    match &from.relation {
        TableFactor::Table {
            name, args: None, ..
        } if from.joins.is_empty() => name_of(name),
        _ => None,
    }
}

/// A name as the catalog has it; its schema does not matter, since ambiguous names are unknown.
pub(super) fn name_of(name: &ObjectName) -> Option<String> {
    name.0.last()?.as_ident().map(folded)
}

/// An identifier as PostgreSQL folds it.
fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        None => ident.value.to_lowercase(),
        Some(_) => ident.value.clone(),
    }
}

pub(super) fn column_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(folded(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        _ => None,
    }
}

pub(super) fn assigned(assignments: &[Assignment]) -> Option<BTreeSet<String>> {
    let mut columns = BTreeSet::new();
    for assignment in assignments {
        match &assignment.target {
            AssignmentTarget::ColumnName(name) => columns.insert(name_of(name)?),
            AssignmentTarget::Tuple(_) => return None,
        };
    }
    Some(columns)
}

/// All tables that a statement names, in the order of its text.
pub(super) fn relations(statement: &Statement) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let visited = visit_relations(statement, |name| {
        match name_of(name) {
            Some(name) => names.push(name),
            None => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    });
    visited.is_continue().then_some(names)
}

/// Whether the statement calls no function but those known to touch nothing, reads from nothing
/// but tables, and has no subquery that locks or writes.
pub(super) fn is_plain(statement: &Statement) -> bool {
    // The outermost query is read by itself.
    let is_query = matches!(statement, Statement::Query(_) | Statement::Insert(_));
    let depth = usize::from(!is_query);
    statement.visit(&mut Plain { depth }).is_continue()
}

/// Stops at what is not plain.
struct Plain {
    /// Queries around the place that is looked at.
    depth: usize,
}

impl Visitor for Plain {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let only_reads = query.locks.is_empty()
            && query.with.is_none()
            && matches!(
                query.body.as_ref(),
                SetExpr::Select(_) | SetExpr::SetOperation { .. } | SetExpr::Values(_)
            );
        self.depth += 1;
        go_on(only_reads || self.depth == 1)
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        go_on(is_of_tables(factor))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        go_on(calls_nothing_impure(expr))
    }
}

/// Whether a row of `is_known` tables that somebody else has locked can do nothing to the
/// statement but make it wait: it calls no function that could look for locks, and neither skips
/// locked rows nor fails on them.
pub(super) fn only_waits_for_rows(statement: &Statement, is_known: impl Fn(&str) -> bool) -> bool {
    let mut patient = Patient::default();
    let is_patient = matches!(
        statement,
        Statement::Query(_) | Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_)
    ) && statement.visit(&mut patient).is_continue();
    let tables = relations(statement);
    is_patient
        && tables.is_some_and(|tables| {
            let mut tables = tables.iter();
            tables.all(|name| is_known(name) || patient.expressions.contains(name))
        })
}

/// Stops at what a lock could do more to than make it wait.
#[derive(Default)]
struct Patient {
    /// The names of common table expressions.
    expressions: BTreeSet<String>,
}

impl Visitor for Patient {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let expressions = query.with.iter().flat_map(|with| &with.cte_tables);
        self.expressions
            .extend(expressions.map(|expression| folded(&expression.alias.name)));
        go_on(query.locks.iter().all(|lock| lock.nonblock.is_none()))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        go_on(is_of_tables(factor))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        go_on(calls_nothing_impure(expr))
    }
}

fn is_of_tables(factor: &TableFactor) -> bool {
    matches!(
        factor,
        TableFactor::Table { args: None, .. }
            | TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. }
    )
}

fn calls_nothing_impure(expr: &Expr) -> bool {
    let Expr::Function(function) = expr else {
        return true;
    };
    let name = name_of(&function.name).unwrap_or_default();
    PURE.contains(&name.as_str())
}

fn go_on(is_plain: bool) -> ControlFlow<()> {
    match is_plain {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    }
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::parser::Parser;

    use super::*;

    fn only_waits(sql: &str) -> bool {
        let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
        let is_known = |name: &str| ["item", "purchase"].contains(&name);
        only_waits_for_rows(&statements[0], is_known)
    }

    #[test]
    fn what_locks_plainly_can_only_wait_for_a_row() {
        assert!(only_waits("select stock from item where id = 1 for update"));
        assert!(only_waits("update item set stock = stock - 1 where id = 1"));
        assert!(only_waits(
            "with shelf as (select id from item where stock > 0 for update)
             insert into purchase select id from shelf
              where not exists (select from purchase where item_id = 1)"
        ));
    }

    #[test]
    fn what_skips_or_fails_or_calls_or_is_not_known_may_do_something_else() {
        assert!(!only_waits("select id from item for update skip locked"));
        assert!(!only_waits("select id from item for update nowait"));
        assert!(!only_waits(
            "update item set stock = 0 where id in (select id from item for update skip locked)"
        ));
        assert!(!only_waits("select buy(1)"));
        assert!(!only_waits("select * from buy(1)"));
        assert!(!only_waits("call buy(1)"));
        assert!(!only_waits("update has_a_trigger set stock = 0"));
        assert!(!only_waits("lock table item"));
    }
}
