//! The forms of SQL that footprints are read from: names, assignments, and what is plain.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, ObjectName, Query, SetExpr, Statement, TableFactor,
    TableWithJoins, Visit, Visitor, visit_relations,
};

/// Functions that depend on nothing but their arguments, or on the time.
const PURE: &[&str] = &[
    "abs",
    "avg",
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
    let part = name.0.last()?.as_ident()?;
    Some(match part.quote_style {
        None => part.value.to_lowercase(),
        Some(_) => part.value.clone(),
    })
}

pub(super) fn column_of(expr: &Expr) -> Option<String> {
    let ident = match expr {
        Expr::Identifier(ident) => ident,
        Expr::CompoundIdentifier(parts) => parts.last()?,
        _ => return None,
    };
    Some(match ident.quote_style {
        None => ident.value.to_lowercase(),
        Some(_) => ident.value.clone(),
    })
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
        go_on(matches!(
            factor,
            TableFactor::Table { args: None, .. }
                | TableFactor::Derived { .. }
                | TableFactor::NestedJoin { .. }
        ))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        let name = name_of(&function.name).unwrap_or_default();
        go_on(PURE.contains(&name.as_str()))
    }
}

fn go_on(is_plain: bool) -> ControlFlow<()> {
    match is_plain {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    }
}
