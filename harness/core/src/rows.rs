//! The rows of any tables, as they were at one moment.
//!
//! Cells are PostgreSQL's own text, so that nothing here knows a type; what a column is for, as far
//! as the catalog says it, stands beside its name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Tables by their names, as SQL writes them: `"order"`, `shop.item`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows(pub BTreeMap<String, Table>);

/// One table with all its rows, in no order that means anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its columns, in the order of each row's cells.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Vec<Cell>>,
}

/// A value as PostgreSQL prints it; none is NULL.
pub type Cell = Option<String>;

/// One column of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, as the catalog has it.
    pub name: String,
    /// Whether it is part of the primary key.
    pub is_key: bool,
    /// Whether its type is one of date, time, timestamp or interval, with or without a zone.
    pub is_time: bool,
    /// The table and column that a foreign key of its own refers to.
    pub refers_to: Option<(String, String)>,
}
