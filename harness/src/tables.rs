//! The rows of any tables, read in one round trip.
//!
//! What a table looks like is asked of the catalog once; a table that a service makes later is seen
//! when the catalog is looked up again.

use rowlock_core::rows::{Cell, Column, Rows, Table};
use sqlx::{AssertSqlSafe, FromRow, PgConnection};

/// Every table of a database but the harness's own and PostgreSQL's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tables(Vec<Known>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    /// As SQL writes it.
    name: String,
    columns: Vec<Column>,
}

/// One column, as the catalog has it.
#[derive(Debug, FromRow)]
struct Described {
    table: String,
    column: String,
    is_key: bool,
    is_time: bool,
    refers_to_table: Option<String>,
    refers_to_column: Option<String>,
}

impl Tables {
    /// Asks the catalog.
    ///
    /// # Errors
    /// Whatever the database says.
    pub(crate) async fn look_up(connection: &mut PgConnection) -> Result<Tables, sqlx::Error> {
        let described: Vec<Described> = sqlx::query_as(
            "select c.oid::regclass::text as table, a.attname::text as column,
                    coalesce(p.conkey @> array[a.attnum], false) as is_key,
                    coalesce(t.typcategory in ('D', 'T'), false) as is_time,
                    f.confrelid::regclass::text as refers_to_table,
                    fa.attname::text as refers_to_column
               from pg_class c
               join pg_namespace n on n.oid = c.relnamespace
               join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
               join pg_type t on t.oid = a.atttypid
               left join pg_constraint p on p.conrelid = c.oid and p.contype = 'p'
               left join lateral (
                   select f.confrelid, f.confkey[1] as attnum
                     from pg_constraint f
                    where f.conrelid = c.oid and f.contype = 'f' and f.conkey = array[a.attnum]
                    order by f.oid limit 1
               ) f on true
               left join pg_attribute fa on fa.attrelid = f.confrelid and fa.attnum = f.attnum
              where c.relkind = 'r' and c.relpersistence <> 't'
                and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'rowlock')
              order by c.oid, a.attnum",
        )
        .fetch_all(connection)
        .await?;
        let mut tables: Vec<Known> = Vec::new();
        for one in described {
            let column = Column {
                name: one.column,
                is_key: one.is_key,
                is_time: one.is_time,
                refers_to: one.refers_to_table.zip(one.refers_to_column),
            };
            match tables.last_mut().filter(|table| table.name == one.table) {
                Some(table) => table.columns.push(column),
                None => tables.push(Known {
                    name: one.table,
                    columns: vec![column],
                }),
            }
        }
        Ok(Tables(tables))
    }

    /// All rows of all tables but those that `is_left_out` says, as of one moment.
    ///
    /// # Errors
    /// Whatever the database says.
    pub(crate) async fn read(
        &self,
        connection: &mut PgConnection,
        is_left_out: impl Fn(&str) -> bool,
    ) -> Result<Rows, sqlx::Error> {
        let wanted: Vec<_> = self.0.iter().filter(|it| !is_left_out(&it.name)).collect();
        let mut rows = Rows::default();
        for table in &wanted {
            let columns = table.columns.clone();
            let empty = Table {
                columns,
                rows: Vec::new(),
            };
            rows.0.insert(table.name.clone(), empty);
        }
        if wanted.is_empty() {
            return Ok(rows);
        }
        let selects: Vec<_> = (0_i32..).zip(&wanted).map(select).collect();
        let read: Vec<(i32, Vec<Cell>)> =
            sqlx::query_as(AssertSqlSafe(selects.join(" union all ")))
                .fetch_all(connection)
                .await?;
        for (at, cells) in read {
            let table = usize::try_from(at).ok().and_then(|at| wanted.get(at));
            if let Some(table) = table.and_then(|table| rows.0.get_mut(&table.name)) {
                table.rows.push(cells);
            }
        }
        Ok(rows)
    }
}

/// Reads one table, each row as its number and the text of its columns.
fn select((at, table): (i32, &&Known)) -> String {
    let quoted = |column: &Column| format!("\"{}\"::text", column.name.replace('"', "\"\""));
    let columns: Vec<_> = table.columns.iter().map(quoted).collect();
    format!(
        "select {at}, array[{}]::text[] from only {}",
        columns.join(", "),
        table.name
    )
}
