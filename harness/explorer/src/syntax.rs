//! The forms of SQL that footprints are read from: names, assignments, and what is plain.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Ident, ObjectName, Query, SetExpr, Statement, TableFactor,
    TableWithJoins, Visit, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::catalog::Catalog;

/// The statements of a text. Weaker locks on rows that the parser does not know are read as the
/// stronger ones of their kind.
pub(super) fn parse(sql: &str) -> Option<Vec<Statement>> {
    let parsed = |sql: &str| Parser::parse_sql(&PostgreSqlDialect {}, sql).ok();
    parsed(sql).or_else(|| {
        let words: Vec<_> = sql.split_whitespace().collect();
        let text = words.join(" ");
        let lower = text.to_ascii_lowercase();
        let weaker = [
            ("for no key update", "for update"),
            ("for key share", "for share"),
        ];
        let (weak, strong) = weaker.into_iter().find(|(weak, _)| lower.contains(weak))?;
        let at = lower.rfind(weak)?;
        parsed(&format!(
            "{}{strong}{}",
            &text[..at],
            &text[at + weak.len()..]
        ))
    })
}

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
pub(super) fn folded(ident: &Ident) -> String {
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
pub(super) fn relations(statement: &Statement, catalog: &Catalog) -> Option<Vec<String>> {
    let mut named = Named::default();
    if statement.visit(&mut named).is_break() {
        return None;
    }
    let Named { mut names, others } = named;
    names.retain(|name| catalog.tables.contains_key(name) || !others.contains(name));
    Some(names)
}

/// Gathers the names of relations.
#[derive(Default)]
struct Named {
    names: Vec<String>,
    /// Those that may be of functions and of common table expressions.
    others: BTreeSet<String>,
}

impl Visitor for Named {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.others.extend(expressions_of(query));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name,
            args: Some(_),
            ..
        } = factor
        {
            self.others.extend(name_of(name));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        match name_of(name) {
            Some(name) => self.names.push(name),
            None => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }
}

/// The names of a query's common table expressions.
fn expressions_of(query: &Query) -> impl Iterator<Item = String> {
    let expressions = query.with.iter().flat_map(|with| &with.cte_tables);
    expressions.map(|expression| folded(&expression.alias.name))
}

/// Whether the statement calls only functions that are known to touch nothing, reads from nothing but tables and them,
/// and has no subquery that locks or writes.
pub(super) fn is_plain(statement: &Statement, is_known: impl FnMut(&str) -> bool) -> bool {
    // The outermost query is read by itself.
    let is_query = matches!(statement, Statement::Query(_) | Statement::Insert(_));
    let depth = usize::from(!is_query);
    statement
        .visit(&mut Plain { depth, is_known })
        .is_continue()
}

/// Stops at what is not plain.
struct Plain<F> {
    /// Queries around the place that is looked at.
    depth: usize,
    is_known: F,
}

impl<F: FnMut(&str) -> bool> Visitor for Plain<F> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let only_reads = query.locks.is_empty()
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
        go_on(is_of_tables(factor, &mut self.is_known))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        go_on(calls_only(expr, &mut self.is_known))
    }
}

/// Whether a row of tables of the catalog that somebody else has locked can do nothing to the
/// statement but make it wait: it calls no function that could look for locks, and neither skips
/// locked rows nor fails on them.
pub(super) fn only_waits_for_rows(statement: &Statement, catalog: &Catalog) -> bool {
    let mut patient = Patient(&catalog.functions);
    let is_patient = matches!(
        statement,
        Statement::Query(_) | Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_)
    ) && statement.visit(&mut patient).is_continue();
    let tables = relations(statement, catalog);
    is_patient
        && tables.is_some_and(|tables| tables.iter().all(|it| catalog.tables.contains_key(it)))
}

/// Stops at what a lock could do more to than make it wait: it may call these functions.
struct Patient<'a>(&'a BTreeSet<String>);

impl Visitor for Patient<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        go_on(query.locks.iter().all(|lock| lock.nonblock.is_none()))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        go_on(is_of_tables(factor, |name| self.0.contains(name)))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        go_on(calls_only(expr, |name| self.0.contains(name)))
    }
}

fn is_of_tables(factor: &TableFactor, mut is_known: impl FnMut(&str) -> bool) -> bool {
    match factor {
        TableFactor::Table {
            name,
            args: Some(_),
            ..
        }
        | TableFactor::Function { name, .. } => is_known(&name_of(name).unwrap_or_default()),
        TableFactor::Table { .. }
        | TableFactor::Derived { .. }
        | TableFactor::UNNEST { .. }
        | TableFactor::NestedJoin { .. } => true,
        _ => false,
    }
}

fn calls_only(expr: &Expr, mut is_known: impl FnMut(&str) -> bool) -> bool {
    match expr {
        Expr::Function(function) => is_known(&name_of(&function.name).unwrap_or_default()),
        _ => true,
    }
}

fn go_on(is_plain: bool) -> ControlFlow<()> {
    match is_plain {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Table;

    fn only_waits(sql: &str) -> bool {
        let tables = ["item", "purchase"].map(|name| (name.to_owned(), Table::default()));
        let catalog = Catalog {
            tables: tables.into(),
            ..Catalog::default()
        };
        only_waits_for_rows(&parse(sql).unwrap()[0], &catalog)
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
