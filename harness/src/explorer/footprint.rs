//! Footprints: what a step can touch, so that steps which touch nothing in common need not be
//! tried in both orders.
//!
//! Two steps are dependent unless shown otherwise: whatever is not understood touches everything.

use std::collections::BTreeMap;

/// What a step can touch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Footprint {
    /// Anything.
    Everything,
    /// These rows and nothing else.
    Rows(Vec<Access>),
}

/// A set of rows of one table, and what is done to them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Access {
    /// The table.
    pub table: String,
    /// What all the rows have in common, by column; empty means the whole table.
    pub rows: BTreeMap<String, String>,
    /// What is done to them.
    pub mode: Mode,
}

/// What is done to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// A plain read, which sees what is committed and waits for nobody.
    Read,
    /// A lock or a write, not yet seen by others, for which others wait.
    Lock,
    /// The end of a transaction that locked or wrote them.
    Release,
}

impl Footprint {
    /// Touches nothing.
    pub const NOTHING: Footprint = Footprint::Rows(Vec::new());
}
