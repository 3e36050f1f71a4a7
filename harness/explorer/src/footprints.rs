//! From a step's SQL to its footprint.
//!
//! Understand a few plain forms well, and say "everything" to all others. A row
//! is known by what its statement compares columns with. Ids that the database generates are not
//! part of what two orders may differ in: a run's new rows are the same under other numbers.

mod condition;
mod statement;

use std::collections::HashMap;

use rowlock_proxy::{Step, StepKind, Value, Verb};

use self::statement::Reader;
use super::catalog::Catalog;
use super::footprint::Footprint;
use super::signal::is_of_its_session_alone;
use super::syntax::{only_waits_for_rows, parse};

/// Reads footprints off steps, and remembers them.
#[derive(Debug, Default)]
pub struct Footprints {
    catalog: Catalog,
    known: HashMap<(String, Vec<Value>), Footprint>,
}

impl Footprints {
    /// For a database with this catalog.
    pub fn new(catalog: Catalog) -> Self {
        Footprints {
            catalog,
            known: HashMap::new(),
        }
    }

    /// From now on everything touches everything: a session is not READ COMMITTED, and what it
    /// sees depends on when its transaction looked first.
    pub fn give_up(&mut self) {
        if std::mem::take(&mut self.catalog.is_read_committed) {
            self.known.clear();
        }
    }

    /// What `step` can touch, apart from what its transaction touched before.
    pub fn of(&mut self, step: &Step) -> Footprint {
        // Which function it calls is told by a number.
        let mut all = match step.kind {
            StepKind::Call => Footprint::Everything,
            _ => Footprint::NOTHING,
        };
        for statement in &step.statements {
            let key = (statement.sql.clone(), statement.parameters.clone());
            let footprint = match self.known.get(&key) {
                Some(known) => known.clone(),
                None => {
                    let read = read(&self.catalog, &statement.sql, &statement.parameters);
                    self.known.insert(key, read.clone());
                    read
                }
            };
            all = all.union(&footprint);
        }
        all
    }

    /// Whether a row that somebody else has locked can do nothing to `step` but make it wait.
    pub fn only_waits_for_rows(&self, step: &Step) -> bool {
        step.statements.iter().all(|statement| {
            let mut statements = parse(&statement.sql).unwrap_or_default().into_iter();
            statements.len() > 0 && statements.all(|it| only_waits_for_rows(&it, &self.catalog))
        })
    }
}

/// What a text of SQL with these parameters can touch.
fn read(catalog: &Catalog, sql: &str, parameters: &[Value]) -> Footprint {
    let verb = Verb::of(sql);
    // What an end gives back is its transaction's, and known to who asks.
    if verb.ends_transaction() || is_of_its_session_alone(verb) {
        return Footprint::NOTHING;
    }
    let (Some(statements), true) = (parse(sql), catalog.is_read_committed) else {
        return Footprint::Everything;
    };
    let reader = Reader {
        catalog,
        parameters,
    };
    let read = statements
        .iter()
        .map(|statement| reader.statement(statement));
    let accesses: Option<Vec<_>> = read.collect();
    accesses.map_or(Footprint::Everything, |accesses| {
        Footprint::Rows(accesses.into_iter().flatten().collect())
    })
}

#[cfg(test)]
mod tests;
