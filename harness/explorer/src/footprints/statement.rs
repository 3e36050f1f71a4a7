//! What one statement touches.
//!
//! Plain forms are read closely; of the rest it is enough to know the tables, all of whose rows are
//! then touched.

use std::collections::{BTreeMap, BTreeSet};

use rowlock_proxy::Value;
use sqlparser::ast::{
    Delete, Expr, FromTable, Insert, LockType, OnConflictAction, OnInsert, Query, SetExpr,
    Statement, TableFactor, TableObject, TableWithJoins, Update,
};

use super::condition::Rows;
use crate::catalog::{Catalog, Table};
use crate::footprint::{Access, Mode, NULL};
use crate::syntax::{assigned, folded, is_plain, name_of, relations, table_of};

type Accesses = BTreeSet<Access>;

/// The function that takes a number of a sequence, and a name for all sequences: no table has it that
/// would be known here, since they would be ambiguous to read.
const NEXTVAL: &str = "nextval";

/// Reads statements; `None` is everything.
pub(super) struct Reader<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) parameters: &'a [Value],
}

impl Reader<'_> {
    pub(super) fn statement(&self, statement: &Statement) -> Option<Accesses> {
        let mut takes_number = false;
        let is_known = |name: &str| {
            takes_number |= name == NEXTVAL;
            name == NEXTVAL || self.catalog.functions.contains(name)
        };
        if !is_plain(statement, is_known) {
            return None;
        }
        let named = relations(statement, self.catalog)?;
        if named
            .iter()
            .any(|name| !self.catalog.tables.contains_key(name))
        {
            return None;
        }
        let mut accesses = match statement {
            Statement::Query(query) => self.query(query, &named)?,
            Statement::Insert(insert) => self.insert(insert)?,
            Statement::Update(update) => self.update(update)?,
            Statement::Delete(delete) => self.delete(delete)?,
            _ => return None,
        };
        // Whatever else is named is read in joins and subqueries; all of it, to be sure.
        let is_target = |(at, name): (usize, &String)| {
            at == 0 && accesses.iter().any(|access| access.table == *name)
        };
        let read: Vec<_> = named
            .iter()
            .enumerate()
            .filter(|named| !is_target(*named))
            .map(|(_, name)| whole(name, Mode::Read))
            .collect();
        accesses.extend(read);
        if takes_number {
            // Who gets which number may matter to who asks for it; to others it does not.
            accesses.insert(whole(NEXTVAL, Mode::Lock));
        }
        Some(accesses)
    }

    /// Of one table only what the condition admits; of more, all that is `named`.
    fn query(&self, query: &Query, named: &[String]) -> Option<Accesses> {
        let locks = query.locks.iter().map(|lock| {
            let mode = match lock.lock_type {
                LockType::Share => Mode::Share,
                LockType::Update => Mode::Lock,
            };
            (mode, lock.of.as_ref().and_then(name_of))
        });
        let locks: Vec<_> = locks.collect();
        let (SetExpr::Select(select), None) = (query.body.as_ref(), &query.with) else {
            let reads = matches!(
                query.body.as_ref(),
                SetExpr::Select(_) | SetExpr::SetOperation { .. } | SetExpr::Values(_)
            );
            return reads.then(|| all_rows(named, &locks, &BTreeMap::new()));
        };
        if select.into.is_some() {
            return None;
        }
        let only = match select.from.as_slice() {
            [from] => table_of(from),
            _ => None,
        };
        let Some(name) = only else {
            return Some(all_rows(named, &locks, &aliases(&select.from)));
        };
        let table = self.catalog.tables.get(&name)?;
        let rows = self.rows(table, select.selection.as_ref());
        let modes: BTreeSet<_> = locks.iter().map(|(mode, _)| *mode).collect();
        let modes: Vec<_> = modes.into_iter().chain([Mode::Read]).collect();
        let accesses = modes.iter().flat_map(|mode| accesses(&name, &rows, *mode));
        Some(accesses.collect())
    }

    fn update(&self, update: &Update) -> Option<Accesses> {
        let name = table_of(&update.table)?;
        let table = self.catalog.tables.get(&name)?;
        let assigned = assigned(&update.assignments)?;
        if assigned
            .iter()
            .any(|column| table.referenced.contains(column))
        {
            let mut accesses = self.unknown_rows(&name, table);
            self.children(&name, &[Rows::new()], &mut accesses)?;
            return Some(accesses);
        }
        if assigned.iter().any(|column| is_key(table, column)) {
            return Some(self.unknown_rows(&name, table));
        }
        let mut rows = match update.from {
            // A column that is compared may be another table's.
            Some(_) => vec![Rows::new()],
            None => self.rows(table, update.selection.as_ref()),
        };
        // A row does not stay what it was in a column that it is given anew.
        for rows in &mut rows {
            rows.retain(|column, _| !assigned.contains(column));
        }
        Some(accesses(&name, &rows, Mode::Lock).collect())
    }

    fn delete(&self, delete: &Delete) -> Option<Accesses> {
        let FromTable::WithFromKeyword(from) = &delete.from else {
            return None;
        };
        let [from] = from.as_slice() else { return None };
        let name = table_of(from)?;
        let table = self.catalog.tables.get(&name)?;
        let rows = match delete.using {
            Some(_) => vec![Rows::new()],
            None => self.rows(table, delete.selection.as_ref()),
        };
        let mut all: Accesses = accesses(&name, &rows, Mode::Lock).collect();
        self.children(&name, &rows, &mut all)?;
        Some(all)
    }

    /// The rows that refer to `rows` of a table: they are looked for, and may be changed or go, too.
    fn children(&self, name: &str, rows: &[Rows], accesses: &mut Accesses) -> Option<()> {
        for child in &self.catalog.tables.get(name)?.referencing {
            let table = self.catalog.tables.get(child)?;
            let mut found = Vec::new();
            for foreign in table.foreign.iter().filter(|foreign| foreign.table == name) {
                for rows in rows {
                    let known = foreign.columns.iter();
                    let known = known
                        .filter_map(|(own, other)| Some((own.clone(), rows.get(other)?.clone())));
                    found.push(known.collect::<Rows>());
                }
            }
            let new: Vec<_> = [Mode::Read, Mode::Lock]
                .into_iter()
                .flat_map(|mode| self::accesses(child, &found, mode))
                .filter(|access| !accesses.contains(access))
                .collect();
            if new.is_empty() {
                continue;
            }
            accesses.extend(new);
            accesses.extend(table.foreign.iter().map(|it| whole(&it.table, Mode::Share)));
            self.children(child, &[Rows::new()], accesses)?;
        }
        Some(())
    }

    /// Where it conflicts it meets a row that has the same unique columns.
    fn insert(&self, insert: &Insert) -> Option<Accesses> {
        let TableObject::TableName(name) = &insert.table else {
            return None;
        };
        let name = name_of(name)?;
        let table = self.catalog.tables.get(&name)?;
        let source = insert.source.as_deref()?;
        let updated = match &insert.on {
            None => BTreeSet::new(),
            Some(OnInsert::OnConflict(conflict)) => match &conflict.action {
                OnConflictAction::DoNothing => BTreeSet::new(),
                OnConflictAction::DoUpdate(update) => assigned(&update.assignments)?,
            },
            Some(_) => return None,
        };
        let refers = |column: &String| table.referenced.contains(column);
        if !source.locks.is_empty() || updated.iter().any(refers) {
            return None;
        }
        let keeps_keys = !updated.iter().any(|column| is_key(table, column));
        let columns: Option<Vec<_>> = insert.columns.iter().map(name_of).collect();
        let columns = columns.filter(|columns| !columns.is_empty() && keeps_keys);
        let (Some(columns), SetExpr::Values(values)) = (columns, source.body.as_ref()) else {
            let reads = matches!(
                source.body.as_ref(),
                SetExpr::Values(_) | SetExpr::Select(_)
            );
            return reads.then(|| self.unknown_rows(&name, table));
        };
        let mut accesses = Accesses::new();
        for row in &values.rows {
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
}

/// All rows of all that is `named`, each locked by the locks that are of it, or of nothing in
/// particular, or of who knows what.
fn all_rows(
    named: &[String],
    locks: &[(Mode, Option<String>)],
    aliases: &BTreeMap<String, String>,
) -> Accesses {
    let mut accesses: Accesses = named.iter().map(|name| whole(name, Mode::Read)).collect();
    for (mode, of) in locks {
        match of.as_ref().and_then(|of| aliases.get(of)) {
            Some(name) => drop(accesses.insert(whole(name, *mode))),
            None => accesses.extend(named.iter().map(|name| whole(name, *mode))),
        }
    }
    accesses
}

/// The tables of a FROM, by what they are called there.
fn aliases(from: &[TableWithJoins]) -> BTreeMap<String, String> {
    let factors = from.iter().flat_map(|from| {
        let joined = from.joins.iter().map(|join| &join.relation);
        std::iter::once(&from.relation).chain(joined)
    });
    let named = factors.filter_map(|factor| match factor {
        TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } => {
            let name = name_of(name)?;
            let called = alias.as_ref().map(|alias| folded(&alias.name));
            Some((called.unwrap_or_else(|| name.clone()), name))
        }
        _ => None,
    });
    named.collect()
}

/// Whether others depend on a column of a row: a unique index, or what it refers to.
fn is_key(table: &Table, column: &String) -> bool {
    let mut foreign = table.foreign.iter().flat_map(|foreign| &foreign.columns);
    table.unique.iter().flatten().any(|unique| unique == column)
        || foreign.any(|(own, _)| own == column)
}

fn accesses(name: &str, rows: &[Rows], mode: Mode) -> impl Iterator<Item = Access> {
    rows.iter().map(move |rows| Access {
        table: name.to_owned(),
        rows: rows.clone(),
        mode,
    })
}

fn whole(table: &str, mode: Mode) -> Access {
    Access {
        table: table.to_owned(),
        rows: Rows::new(),
        mode,
    }
}
