//! What a target's database held before anything was bought, and how it is put back.
//!
//! A target may keep tables of its own beside the shop's: an audit trail, answers by key. They
//! must be as they were whenever the shop is, or the target remembers what never happened. So
//! copies of them are kept in a schema of the harness's own, with a function that puts back the
//! tables that have changed. Where a target has no such table, nothing of this is there.
//!
//! Foreign keys and triggers are kept out of it by `session_replication_role`; a role that may
//! not set that puts the target's tables back before the shop's and again after them, and says
//! which foreign key is in the way where that does not do. What lives in the target's memory
//! stays there.

use std::fmt::Write;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Takes all rows of the shop away.
const DELETE_SHOP: &str = "delete from purchase; delete from item; delete from wallet;";

/// The state to come back to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Baseline {
    tables: Vec<OwnTable>,
    sequences: Vec<Sequence>,
    may_silence_triggers: bool,
}

/// A table that is not the shop's.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct OwnTable {
    oid: i64,
    /// As SQL names it.
    name: String,
    /// The columns that can be written, as SQL lists them.
    columns: String,
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
    pub(crate) async fn capture(connection: &mut PgConnection) -> Result<Baseline, sqlx::Error> {
        let tables = OwnTable::all(connection).await?;
        let baseline = Baseline {
            sequences: Sequence::all(connection).await?,
            may_silence_triggers: may_silence_triggers(connection).await?,
            tables,
        };
        if !baseline.tables.is_empty() {
            let copy = baseline.copy_sql();
            sqlx::raw_sql(AssertSqlSafe(copy))
                .execute(connection)
                .await?;
        }
        Ok(baseline)
    }

    /// Takes the shop's rows away and remembers what is there then, if the target has other
    /// tables by now than those that are remembered.
    pub(crate) async fn renew(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if OwnTable::all(connection).await? == self.tables {
            return Ok(());
        }
        sqlx::raw_sql(AssertSqlSafe(self.clear_sql()))
            .execute(&mut *connection)
            .await?;
        *self = Baseline::capture(connection).await?;
        Ok(())
    }

    /// Whether the target has tables that must be put back.
    pub(crate) fn has_own_tables(&self) -> bool {
        !self.tables.is_empty()
    }

    /// The names of these tables, as SQL writes them.
    pub(crate) fn own_tables(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().map(|table| table.name.as_str())
    }

    /// Takes all rows of the shop away and puts the target's own tables back.
    pub(crate) fn clear_sql(&self) -> String {
        let put_back = match self.has_own_tables() {
            true => "select rowlock.put_back();",
            false => "",
        };
        match self.may_silence_triggers {
            true => format!(
                "set session_replication_role = replica; {DELETE_SHOP} {put_back}
                 reset session_replication_role;"
            ),
            // Its rows refer to the shop's, and triggers may write more when those go.
            false => format!("{put_back} {DELETE_SHOP} {put_back}"),
        }
    }

    /// Puts the sequences back, so that the same purchases get the same ids.
    pub(crate) fn sequences_sql(&self) -> String {
        let set = |sequence: &Sequence| {
            let Sequence {
                oid,
                last_value,
                is_called,
            } = sequence;
            format!("setval({oid}::regclass, {last_value}, {is_called})")
        };
        match self.sequences.as_slice() {
            [] => String::new(),
            sequences => {
                let sets: Vec<_> = sequences.iter().map(set).collect();
                format!("select {};", sets.join(", "))
            }
        }
    }

    /// Makes the copies, and the function that compares with them and puts back.
    fn copy_sql(&self) -> String {
        let mut copies = String::new();
        let (mut compare, mut delete, mut insert) = (String::new(), String::new(), String::new());
        for (at, OwnTable { name, columns, .. }) in (1..).zip(&self.tables) {
            // A name that no table of the target has, lest its statements be misunderstood.
            let copy = format!("rowlock.rowlock_{at}");
            let digest = |table: &str| {
                format!(
                    "(select format('%s %s', count(*), sum(hashtextextended(row({columns})::text, 0)))
                        from only {table})"
                )
            };
            let (now, then) = (digest(name), digest(&copy));
            write!(
                copies,
                "create table {copy} as select {columns} from only {name};"
            )
            .expect("a string takes everything");
            write!(compare, "changed[{at}] := {now} <> {then};")
                .expect("a string takes everything");
            delete.insert_str(
                0,
                &format!("if changed[{at}] then delete from only {name}; end if;"),
            );
            write!(
                insert,
                "if changed[{at}] then
                     insert into {name} ({columns}) overriding system value
                     select {columns} from {copy};
                 end if;"
            )
            .expect("a string takes everything");
        }
        let body = format!("declare changed boolean[]; begin {compare} {delete} {insert} end");
        let body = body.replace('\'', "''");
        format!(
            "drop schema if exists rowlock cascade; create schema rowlock; {copies}
             create function rowlock.put_back() returns void language plpgsql as '{body}'"
        )
    }
}

impl OwnTable {
    /// Every table but the shop's, the migrations' and the harness's.
    async fn all(connection: &mut PgConnection) -> Result<Vec<OwnTable>, sqlx::Error> {
        sqlx::query_as(
            "select c.oid::int8 as oid, format('%I.%I', n.nspname, c.relname) as name,
                    string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns
               from pg_class c
               join pg_namespace n on n.oid = c.relnamespace
               join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
                                  and not a.attisdropped and a.attgenerated = ''
              where c.relkind = 'r'
                and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'rowlock')
                and not (n.nspname = 'public'
                         and c.relname in ('item', 'wallet', 'purchase', '_sqlx_migrations'))
              group by c.oid, n.nspname, c.relname
              order by c.oid",
        )
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
