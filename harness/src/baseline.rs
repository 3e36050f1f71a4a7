//! What a target's database held before the first call, and how it is put back.
//!
//! A subject may fill some tables by itself ([`OwnRows`]), and a target may keep others: an audit
//! trail, answers by key. Those must be as they were whenever a run begins, or the target remembers
//! what never happened. So copies of them are kept in a schema of the harness's own, with a
//! function that puts back the tables that have changed. Where there is no such table, nothing of
//! this is there.
//!
//! Foreign keys and triggers are kept out of it by `session_replication_role`; a role that may
//! not set that puts the target's tables back before the subject's and again after them, and says
//! which foreign key is in the way where that does not do. What lives in the target's memory
//! stays there.

use std::fmt::Write;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The tables that a subject fills by itself; they are not remembered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnRows {
    /// Their names, in the schema `public`; the migrations' may be among them.
    pub tables: &'static [&'static str],
    /// Takes all their rows away.
    pub clear_sql: &'static str,
}

/// The state to come back to.
#[derive(Debug, Clone, Default)]
pub struct Baseline {
    own_rows: OwnRows,
    tables: Vec<KeptTable>,
    sequences: Vec<Sequence>,
    may_silence_triggers: bool,
}

/// A table that is remembered.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct KeptTable {
    oid: i64,
    /// As SQL names it.
    name: String,
    /// The columns that can be written, as SQL lists them.
    columns: String,
    /// Whether no two rows are the same.
    has_key: bool,
}

/// A sequence and where it stood.
#[derive(Debug, Clone)]
struct Sequence {
    oid: i64,
    last_value: i64,
    is_called: bool,
}

impl Baseline {
    /// Remembers what the database holds now.
    pub(crate) async fn capture(
        connection: &mut PgConnection,
        own_rows: OwnRows,
    ) -> Result<Baseline, sqlx::Error> {
        let tables = KeptTable::all(connection, own_rows).await?;
        let baseline = Baseline {
            own_rows,
            sequences: Sequence::all(connection).await?,
            may_silence_triggers: may_silence_triggers(connection).await?,
            tables,
        };
        if !baseline.tables.is_empty() {
            let copy = baseline.copy_sql();
            sqlx::raw_sql(AssertSqlSafe(copy))
                .execute(&mut *connection)
                .await?;
            let digests: Vec<String> = sqlx::query_scalar(AssertSqlSafe(baseline.digests_sql()))
                .fetch_one(&mut *connection)
                .await?;
            let put_back = baseline.put_back_sql(&digests);
            sqlx::raw_sql(AssertSqlSafe(put_back))
                .execute(connection)
                .await?;
        }
        Ok(baseline)
    }

    /// Takes the subject's rows away and remembers what is there then, if the target has other
    /// tables by now than those that are remembered.
    pub(crate) async fn renew(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if KeptTable::all(connection, self.own_rows).await? == self.tables {
            return Ok(());
        }
        sqlx::raw_sql(AssertSqlSafe(self.clear_sql()))
            .execute(&mut *connection)
            .await?;
        *self = Baseline::capture(connection, self.own_rows).await?;
        Ok(())
    }

    /// Whether there are tables that must be put back.
    pub(crate) fn keeps_tables(&self) -> bool {
        !self.tables.is_empty()
    }

    /// The names of all tables that runs change, as SQL writes them.
    pub(crate) fn all_tables(&self) -> impl Iterator<Item = &str> {
        let kept = self.tables.iter().map(|table| table.name.as_str());
        self.own_rows.tables.iter().copied().chain(kept)
    }

    /// Takes the subject's own rows away and puts all other tables back.
    pub(crate) fn clear_sql(&self) -> String {
        let put_back = match self.keeps_tables() {
            true => "select rowlock.put_back();",
            false => "",
        };
        let delete = self.own_rows.clear_sql;
        match self.may_silence_triggers {
            true => format!(
                "set session_replication_role = replica; {delete} {put_back}
                 reset session_replication_role;"
            ),
            // Their rows refer to the subject's, and triggers may write more when those go.
            false => format!("{put_back} {delete} {put_back}"),
        }
    }

    /// Puts the sequences back, so that the same calls get the same ids.
    pub(crate) fn sequences_sql(&self) -> String {
        self.sequences_moved_on_sql(0)
    }

    /// The same, but each sequence further on by so many.
    pub(crate) fn sequences_moved_on_sql(&self, moved_on: i64) -> String {
        let set = |sequence: &Sequence| {
            let Sequence {
                oid,
                last_value,
                is_called,
            } = sequence;
            let value = last_value.saturating_add(moved_on);
            format!("setval({oid}::regclass, {value}, {is_called})")
        };
        match self.sequences.as_slice() {
            [] => String::new(),
            sequences => {
                let sets: Vec<_> = sequences.iter().map(set).collect();
                format!("select {};", sets.join(", "))
            }
        }
    }

    /// Makes the copies.
    fn copy_sql(&self) -> String {
        let copies = self.numbered().map(|(table, copy)| {
            let KeptTable { name, columns, .. } = table;
            format!("create table {copy} as select {columns} from only {name};")
        });
        let copies: String = copies.collect();
        format!("drop schema if exists rowlock cascade; create schema rowlock; {copies}")
    }

    /// What each copy holds, in a few characters.
    fn digests_sql(&self) -> String {
        let digests = self.numbered().map(|(table, copy)| table.digest_sql(&copy));
        format!(
            "select array[{}]::text[]",
            digests.collect::<Vec<_>>().join(", ")
        )
    }

    /// Makes the function that compares with the copies' `digests` and puts back.
    ///
    /// Of a table with a primary key only the rows that differ are touched, so that all others stay
    /// where they lie.
    fn put_back_sql(&self, digests: &[String]) -> String {
        let (mut compare, mut delete, mut insert) = (String::new(), String::new(), String::new());
        for (at, ((table, copy), then)) in (1..).zip(self.numbered().zip(digests)) {
            let KeptTable { name, columns, .. } = table;
            let now = table.digest_sql(name);
            let (gone, missing) = match table.has_key {
                true => (table.not_in(&copy), table.not_in(name)),
                false => (String::new(), String::new()),
            };
            write!(compare, "changed[{at}] := {now} <> '{then}';")
                .expect("a string takes everything");
            delete.insert_str(
                0,
                &format!("if changed[{at}] then delete from only {name} {gone}; end if;"),
            );
            write!(
                insert,
                "if changed[{at}] then
                     insert into {name} ({columns}) overriding system value
                     select {columns} from {copy} {missing};
                 end if;"
            )
            .expect("a string takes everything");
        }
        let body = format!("declare changed boolean[]; begin {compare} {delete} {insert} end");
        let body = body.replace('\'', "''");
        format!("create function rowlock.put_back() returns void language plpgsql as '{body}'")
    }

    /// Each table with the name of its copy, which no table of the target has, lest its statements
    /// be misunderstood.
    fn numbered(&self) -> impl Iterator<Item = (&KeptTable, String)> {
        let numbered = (1..).zip(&self.tables);
        numbered.map(|(at, table)| (table, format!("rowlock.rowlock_{at}")))
    }
}

impl KeptTable {
    /// What `table`, it or its copy, holds: how many rows, and a sum of their hashes.
    fn digest_sql(&self, table: &str) -> String {
        let columns = &self.columns;
        format!(
            "(select format('%s %s', count(*), sum(hashtextextended(row({columns})::text, 0)))
                from only {table})"
        )
    }

    /// The condition that a row is not in `table`, it or its copy.
    fn not_in(&self, table: &str) -> String {
        let columns = &self.columns;
        format!("where row({columns})::text not in (select row({columns})::text from only {table})")
    }

    /// Every table but the subject's own and the harness's.
    async fn all(
        connection: &mut PgConnection,
        own_rows: OwnRows,
    ) -> Result<Vec<KeptTable>, sqlx::Error> {
        sqlx::query_as(
            "select c.oid::int8 as oid, format('%I.%I', n.nspname, c.relname) as name,
                    string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns,
                    exists (select from pg_constraint
                             where conrelid = c.oid and contype = 'p') as has_key
               from pg_class c
               join pg_namespace n on n.oid = c.relnamespace
               join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
                                  and not a.attisdropped and a.attgenerated = ''
              where c.relkind = 'r'
                and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'rowlock')
                and not (n.nspname = 'public' and c.relname = any ($1))
              group by c.oid, n.nspname, c.relname
              order by c.oid",
        )
        .bind(own_rows.tables)
        .fetch_all(connection)
        .await
    }
}

impl Sequence {
    async fn all(connection: &mut PgConnection) -> Result<Vec<Sequence>, sqlx::Error> {
        let names: Vec<(i64, String)> = sqlx::query_as(
            "select c.oid::int8, format('%I.%I', n.nspname, c.relname)
               from pg_class c
               join pg_namespace n on n.oid = c.relnamespace
              where c.relkind = 'S' and n.nspname !~ '^pg_'
              order by c.oid",
        )
        .fetch_all(&mut *connection)
        .await?;
        let mut sequences = Vec::new();
        for (oid, name) in names {
            let stands = format!("select last_value, is_called from {name}");
            let (last_value, is_called) = sqlx::query_as(AssertSqlSafe(stands))
                .fetch_one(&mut *connection)
                .await?;
            sequences.push(Sequence {
                oid,
                last_value,
                is_called,
            });
        }
        Ok(sequences)
    }
}

/// Whether this role may keep triggers and foreign keys out of the way.
async fn may_silence_triggers(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    let mut transaction = connection.begin().await?;
    let set = sqlx::query("set local session_replication_role = replica")
        .execute(&mut *transaction)
        .await;
    transaction.rollback().await?;
    match set {
        Ok(_) => Ok(true),
        Err(error) => {
            let code = error.as_database_error().and_then(|error| error.code());
            match code.as_deref() {
                Some(INSUFFICIENT_PRIVILEGE) => Ok(false),
                _ => Err(error),
            }
        }
    }
}
