//! What must hold of the rows after a run, in SQL.

use crate::expression::Expression;
use crate::template::Template;

/// Something that must hold after every run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invariant {
    /// Its name.
    pub name: String,
    /// What must hold.
    pub predicate: Predicate,
    /// The line of the contract that it begins on.
    pub line: usize,
}

/// What must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// A query that finds no rows.
    NoRows(Template),
    /// An expression over a number before and after.
    Number {
        /// A query of one row with one column.
        query: Template,
        /// The expression.
        holds: Expression,
    },
}
