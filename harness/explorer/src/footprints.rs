//! From a step's SQL to its footprint.
//!
//! Understand a few plain forms well, and say "everything" to all others. A row
//! is known by what its statement compares columns with. Ids that the database generates are not
//! part of what two orders may differ in: a run's new rows are the same under other numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rowlock_proxy::{Step, StepKind, Value, Verb};
use sqlparser::ast::{
    BinaryOperator, Delete, Expr, FromTable, Insert, LockType, Query, SetExpr, Statement,
    TableObject, Update, Value as Literal,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::catalog::{Catalog, Kind, Table};
use super::footprint::{Access, Footprint, Mode, NULL};
use super::signal::is_of_its_session_alone;
use super::syntax::{
    assigned, column_of, is_plain, name_of, only_waits_for_rows, relations, table_of,
};

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
        let is_known = |name: &str| self.catalog.tables.contains_key(name);
        step.statements.iter().all(|statement| {
            let parsed = Parser::parse_sql(&PostgreSqlDialect {}, &statement.sql);
            let only_waits = |it: &Statement| only_waits_for_rows(it, is_known);
            parsed.is_ok_and(|statements| statements.iter().all(only_waits))
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
    let parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql);
    let (Ok(statements), true) = (parsed, catalog.is_read_committed) else {
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

type Accesses = BTreeSet<Access>;
type Rows = BTreeMap<String, String>;

/// Reads statements; `None` is everything.
struct Reader<'a> {
    catalog: &'a Catalog,
    parameters: &'a [Value],
}

impl Reader<'_> {
    fn statement(&self, statement: &Statement) -> Option<Accesses> {
        if !is_plain(statement) {
            return None;
        }
        let mut accesses = match statement {
            Statement::Query(query) => self.query(query)?,
            Statement::Insert(insert) => self.insert(insert)?,
            Statement::Update(update) => self.update(update)?,
            Statement::Delete(delete) => self.delete(delete)?,
            _ => return None,
        };
        // Whatever else is named is read in subqueries; all of it, to be sure.
        let mut is_first = true;
        for name in relations(statement)? {
            self.catalog.tables.get(&name)?;
            let is_target = is_first && accesses.iter().any(|access| access.table == name);
            is_first = false;
            if !is_target {
                accesses.insert(whole(&name, Mode::Read));
            }
        }
        Some(accesses)
    }

    fn query(&self, query: &Query) -> Option<Accesses> {
        let is_locking = !query.locks.is_empty();
        let (SetExpr::Select(select), None) = (query.body.as_ref(), &query.with) else {
            // Reads only, of what it names.
            let is_plain =
                matches!(query.body.as_ref(), SetExpr::SetOperation { .. }) && query.with.is_none();
            return (is_plain && !is_locking).then(Accesses::new);
        };
        if select.into.is_some() {
            return None;
        }
        let [from] = select.from.as_slice() else {
            return (!is_locking).then(Accesses::new);
        };
        let Some(name) = table_of(from) else {
            return (!is_locking).then(Accesses::new);
        };
        let table = self.catalog.tables.get(&name)?;
        let rows = self.rows(table, select.selection.as_ref());
        let mut modes = vec![Mode::Read];
        for lock in &query.locks {
            modes.push(match lock.lock_type {
                LockType::Share => Mode::Share,
                LockType::Update => Mode::Lock,
            });
        }
        let access = |mode| Access {
            table: name.clone(),
            rows: rows.clone(),
            mode,
        };
        Some(modes.into_iter().map(access).collect())
    }

    fn update(&self, update: &Update) -> Option<Accesses> {
        let name = table_of(&update.table)?;
        let table = self.catalog.tables.get(&name)?;
        if update.from.is_some() {
            return None;
        }
        let assigned = assigned(&update.assignments)?;
        let is_key = |column: &String| {
            table.referenced.contains(column)
                || table.unique.iter().flatten().any(|unique| unique == column)
                || (table.foreign.iter().flat_map(|foreign| &foreign.columns))
                    .any(|(own, _)| own == column)
        };
        if assigned.iter().any(is_key) {
            return None;
        }
        let mut rows = self.rows(table, update.selection.as_ref());
        // A row does not stay what it was in a column that it is given anew.
        rows.retain(|column, _| !assigned.contains(column));
        let lock = Access {
            table: name,
            rows,
            mode: Mode::Lock,
        };
        Some(Accesses::from([lock]))
    }

    fn delete(&self, delete: &Delete) -> Option<Accesses> {
        let (FromTable::WithFromKeyword(from), None) = (&delete.from, &delete.using) else {
            return None;
        };
        let [from] = from.as_slice() else { return None };
        let name = table_of(from)?;
        let table = self.catalog.tables.get(&name)?;
        if !table.referenced.is_empty() {
            return None;
        }
        let lock = Access {
            table: name,
            rows: self.rows(table, delete.selection.as_ref()),
            mode: Mode::Lock,
        };
        Some(Accesses::from([lock]))
    }

    fn insert(&self, insert: &Insert) -> Option<Accesses> {
        let TableObject::TableName(name) = &insert.table else {
            return None;
        };
        let name = name_of(name)?;
        let table = self.catalog.tables.get(&name)?;
        let source = insert.source.as_deref()?;
        if source.with.is_some() || !source.locks.is_empty() || insert.on.is_some() {
            return None;
        }
        let columns: Option<Vec<_>> = insert.columns.iter().map(name_of).collect();
        let columns = columns.filter(|columns| !columns.is_empty())?;
        let values = match source.body.as_ref() {
            SetExpr::Values(values) => &values.rows,
            SetExpr::Select(_) => return Some(self.unknown_rows(&name, table)),
            _ => return None,
        };
        let mut accesses = Accesses::new();
        for row in values {
            let row = &row.content;
            if row.len() != columns.len() {
                return None;
            }
            let named: BTreeMap<_, _> = columns.iter().zip(row).collect();
            accesses.extend(self.inserted(&name, table, &named));
        }
        Some(accesses)
    }

    /// Rows of which nothing is known.
    fn unknown_rows(&self, name: &str, table: &Table) -> Accesses {
        let foreign = table.foreign.iter();
        let mut accesses: Accesses = foreign
            .map(|foreign| whole(&foreign.table, Mode::Share))
            .collect();
        accesses.insert(whole(name, Mode::Lock));
        accesses
    }

    /// One new row: itself, what its unique columns keep others from, and what it refers to.
    fn inserted(&self, name: &str, table: &Table, named: &BTreeMap<&String, &Expr>) -> Accesses {
        let mut row = Rows::new();
        for (column, about) in &table.columns {
            let value = match named.get(column) {
                Some(expr) => self.value(about.kind, expr),
                None if about.has_default => None,
                None => Some(NULL.to_owned()),
            };
            row.extend(value.map(|value| (column.clone(), value)));
        }
        let is_fresh = |column: &String| {
            let about = table.columns.get(column);
            about.is_some_and(|about| about.is_generated) && !named.contains_key(column)
        };
        let is_null = |column: &String| row.get(column).is_some_and(|value| value == NULL);
        let mut accesses = Accesses::new();
        for unique in &table.unique {
            if unique
                .iter()
                .any(|column| is_fresh(column) || is_null(column))
            {
                continue;
            }
            let known = unique.iter().filter_map(|column| row.get_key_value(column));
            accesses.insert(Access {
                table: name.to_owned(),
                rows: known.map(|(c, v)| (c.clone(), v.clone())).collect(),
                mode: Mode::Lock,
            });
        }
        for foreign in &table.foreign {
            if foreign.columns.iter().any(|(own, _)| is_null(own)) {
                continue;
            }
            let known = foreign.columns.iter();
            let known =
                known.filter_map(|(own, other)| Some((other.clone(), row.get(own)?.clone())));
            accesses.insert(Access {
                table: foreign.table.clone(),
                rows: known.collect(),
                mode: Mode::Share,
            });
        }
        accesses.insert(Access {
            table: name.to_owned(),
            rows: row,
            mode: Mode::Lock,
        });
        accesses
    }

    /// What the rows that a condition admits have in common: the columns that it compares.
    fn rows(&self, table: &Table, condition: Option<&Expr>) -> Rows {
        let mut rows = Rows::new();
        if let Some(condition) = condition {
            self.compare(table, condition, &mut rows);
        }
        rows
    }

    fn compare(&self, table: &Table, condition: &Expr, rows: &mut Rows) {
        match condition {
            Expr::Nested(inner) => self.compare(table, inner, rows),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::And,
                right,
            } => {
                self.compare(table, left, rows);
                self.compare(table, right, rows);
            }
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Eq,
                right,
            } => {
                for (column, value) in [(left, right), (right, left)] {
                    let Some(name) = column_of(column) else {
                        continue;
                    };
                    let Some(about) = table.columns.get(&name) else {
                        continue;
                    };
                    rows.extend(self.value(about.kind, value).map(|value| (name, value)));
                }
            }
            // Of several values it says too little to tell rows apart by one column's value.
            Expr::AnyOp {
                left,
                compare_op: BinaryOperator::Eq,
                right,
                ..
            } => {
                let name = column_of(left);
                let about = name.as_ref().and_then(|name| table.columns.get(name));
                let value = about.and_then(|about| self.only_value(about.kind, right));
                rows.extend(name.zip(value));
            }
            _ => {}
        }
    }

    /// The value of an array that has one, given as a parameter.
    fn only_value(&self, kind: Kind, array: &Expr) -> Option<String> {
        let text = match array {
            Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => {
                return self.only_value(kind, inner);
            }
            Expr::Value(value) => match &value.value {
                Literal::Placeholder(name) => self.parameter(name)?.as_deref()?,
                _ => return None,
            },
            _ => return None,
        };
        let element = text.strip_prefix('{')?.strip_suffix('}')?;
        match kind {
            Kind::Integer => element.parse::<i64>().ok().map(|number| number.to_string()),
            // Anything that is written with a backslash, or is several, ends the quotation early.
            Kind::Text => {
                let text = element.strip_prefix('"')?.strip_suffix('"')?;
                let is_plain = !text.contains(['"', '\\']) && text.len() <= 1000;
                (is_plain && !is_uuid(text)).then(|| text.to_owned())
            }
            Kind::Other => None,
        }
    }

    /// The parameter that `$1` and so on stand for.
    fn parameter(&self, placeholder: &str) -> Option<&Value> {
        let number: usize = placeholder.strip_prefix('$')?.parse().ok()?;
        self.parameters.get(number.checked_sub(1)?)
    }

    /// A value in the one form in which equal values of its kind are equal texts.
    fn value(&self, kind: Kind, expr: &Expr) -> Option<String> {
        let text = match expr {
            Expr::Nested(inner) => return self.value(kind, inner),
            Expr::Cast { expr, .. } if kind == Kind::Integer => return self.value(kind, expr),
            Expr::Value(value) => match &value.value {
                Literal::Number(number, _) => number.clone(),
                Literal::SingleQuotedString(text) | Literal::EscapedStringLiteral(text) => {
                    text.clone()
                }
                Literal::Null => return Some(NULL.to_owned()),
                Literal::Placeholder(name) => match self.parameter(name)? {
                    Some(text) => text.clone(),
                    None => return Some(NULL.to_owned()),
                },
                _ => return None,
            },
            _ => return None,
        };
        match kind {
            Kind::Integer => text.trim().parse::<i64>().ok().map(|n| n.to_string()),
            // Values that the proxy could not read are in hexadecimal, long ones are cut short.
            Kind::Text => {
                (!text.starts_with("\\x") && text.len() <= 1000 && !is_uuid(&text)).then_some(text)
            }
            Kind::Other => None,
        }
    }
}

/// Whether a text may have been made up at random. It would be another one in the next run, and
/// what is the same step would look like another; so it tells no rows apart.
fn is_uuid(text: &str) -> bool {
    let is_hyphen = |place: usize| [8, 13, 18, 23].contains(&place);
    text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(place, byte)| match is_hyphen(place) {
                true => byte == b'-',
                false => byte.is_ascii_hexdigit(),
            })
}

fn whole(table: &str, mode: Mode) -> Access {
    Access {
        table: table.to_owned(),
        rows: Rows::new(),
        mode,
    }
}

#[cfg(test)]
mod tests;
