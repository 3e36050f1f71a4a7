//! The rows of any tables, read in one round trip.
//!
//! What a table looks like is asked of the catalog once; a table that a service makes later is seen
//! when the catalog is looked up again.

use std::collections::BTreeMap;

use rowlock_core::rows::{Cell, Column, Rows, Table};
use sqlx::{AssertSqlSafe, FromRow, PgConnection};

/// From so many rows on, a table that has not changed is not read again.
const MANY: usize = 50;

/// Every table of a database but the harness's own and PostgreSQL's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tables(Vec<Described>);

/// The rows that every run begins with.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// All of them.
    pub(crate) rows: Rows,
    /// What tables of many rows hold, in a few characters.
    large: BTreeMap<String, String>,
}

/// One table, as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Described {
    /// As SQL writes it.
    name: String,
    columns: Vec<Column>,
}

/// One column, as the catalog has it.
#[derive(Debug, FromRow)]
struct DescribedColumn {
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
        let described: Vec<DescribedColumn> = sqlx::query_as(
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
        let mut tables: Vec<Described> = Vec::new();
        for one in described {
            let column = Column {
                name: one.column,
                is_key: one.is_key,
                is_time: one.is_time,
                refers_to: one.refers_to_table.zip(one.refers_to_column),
            };
            match tables.last_mut().filter(|table| table.name == one.table) {
                Some(table) => table.columns.push(column),
                None => tables.push(Described {
                    name: one.table,
                    columns: vec![column],
                }),
            }
        }
        Ok(Tables(tables))
    }

    /// All rows of all tables but those that `is_left_out` says, as of one moment. Tables of many
    /// rows that are as in `known` are not read again.
    ///
    /// # Errors
    /// Whatever the database says.
    pub(crate) async fn read(
        &self,
        connection: &mut PgConnection,
        is_left_out: impl Fn(&str) -> bool,
        known: Option<&Known>,
    ) -> Result<Rows, sqlx::Error> {
        let wanted = self.0.iter().filter(|it| !is_left_out(&it.name));
        let wanted: Vec<_> = wanted
            .map(|table| (table, known.and_then(|known| known.large.get(&table.name))))
            .collect();
        if wanted.is_empty() {
            return Ok(Rows::default());
        }
        let selects = (0_i32..).zip(&wanted);
        let selects: Vec<_> = selects
            .map(|(at, (table, digest))| table.select(at, digest.map(String::as_str)))
            .collect();
        let read: Vec<(i32, Option<Vec<Cell>>)> =
            sqlx::query_as(AssertSqlSafe(selects.join(" union all ")))
                .fetch_all(connection)
                .await?;
        let mut rows: Vec<Option<Vec<Vec<Cell>>>> = vec![None; wanted.len()];
        for (at, cells) in read {
            if let Some(table) = usize::try_from(at).ok().and_then(|at| rows.get_mut(at)) {
                // A row of nothing says only that the table is read.
                table.get_or_insert_default().extend(cells);
            }
        }
        let tables = wanted.into_iter().zip(rows).map(|((table, digest), rows)| {
            let as_known = || known?.rows.0.get(&table.name).cloned();
            let unchanged = match (&rows, digest) {
                (None, Some(_)) => as_known(),
                _ => None,
            };
            let read = Table {
                columns: table.columns.clone(),
                rows: rows.unwrap_or_default(),
            };
            (table.name.clone(), unchanged.unwrap_or(read))
        });
        Ok(Rows(tables.collect()))
    }

    /// What is there now, so that tables of many rows need not be read again.
    ///
    /// # Errors
    /// Whatever the database says.
    pub(crate) async fn learn(
        &self,
        connection: &mut PgConnection,
        is_left_out: impl Fn(&str) -> bool,
    ) -> Result<Known, sqlx::Error> {
        let rows = self.read(connection, is_left_out, None).await?;
        let mut large = BTreeMap::new();
        for table in &self.0 {
            if rows
                .0
                .get(&table.name)
                .is_some_and(|it| it.rows.len() >= MANY)
            {
                let digest = AssertSqlSafe(format!("select {}", table.digest()));
                let digest: String = sqlx::query_scalar(digest)
                    .fetch_one(&mut *connection)
                    .await?;
                large.insert(table.name.clone(), digest);
            }
        }
        Ok(Known { rows, large })
    }
}

impl Described {
    /// Reads the table, each row as its number and the text of its columns, unless its digest is
    /// `known`; whether it is read shows a row of nothing.
    fn select(&self, at: i32, known: Option<&str>) -> String {
        let cells: Vec<_> = self.columns.iter().map(text_of).collect();
        let cells = format!("array[{}]::text[]", cells.join(", "));
        let Self { name, .. } = self;
        let Some(known) = known else {
            return format!("select {at}, {cells} from only {name}");
        };
        // One subquery that nothing else decides: it is asked once, before the table is scanned.
        let is_changed = format!("where {} <> '{known}'", self.digest());
        format!(
            "select {at}, null::text[] {is_changed}
             union all select {at}, {cells} from only {name} {is_changed}"
        )
    }

    fn digest(&self) -> String {
        let columns: Vec<_> = self.columns.iter().map(text_of).collect();
        format!(
            "(select format('%s %s', count(*), sum(hashtextextended(row({})::text, 0)))
                from only {})",
            columns.join(", "),
            self.name
        )
    }
}

/// A column as text.
fn text_of(column: &Column) -> String {
    format!("\"{}\"::text", column.name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use rowlock_postgres::{Provider, Server, Settings};
    use sqlx::{ConnectOptions, Executor};

    use super::*;

    #[tokio::test]
    async fn a_large_table_is_read_again_only_where_it_has_changed() {
        let settings = Settings {
            provider: Provider::Local,
            ..Settings::from_env()
        };
        let server = Server::start(&settings).await.unwrap();
        let database = server.create_database("tables").await.unwrap();
        let mut connection = database.options().connect().await.unwrap();
        let made = "create table a (id int primary key, v text);
                    create table b (like a including all);
                    create table \"odd \"\"name\" (\"odd column\" timestamptz, a_id int references a);
                    insert into a select i, null from generate_series(1, 60) as i;
                    insert into b select i, 'b' from generate_series(1, 60) as i";
        connection.execute(made).await.unwrap();
        let tables = Tables::look_up(&mut connection).await.unwrap();
        let known = tables.learn(&mut connection, |_| false).await.unwrap();
        assert_eq!(known.large.keys().collect::<Vec<_>>(), ["a", "b"]);

        for (change, a, b) in [
            ("select 1", 60, 60),
            ("update a set v = 'x' where id = 7", 60, 60),
            ("delete from b", 60, 0),
            ("insert into b values (61, 'c')", 60, 1),
        ] {
            connection.execute(change).await.unwrap();
            let quick = tables.read(&mut connection, |_| false, Some(&known));
            let mut quick = quick.await.unwrap();
            let mut whole = tables.read(&mut connection, |_| false, None).await.unwrap();
            for rows in [&mut quick, &mut whole] {
                rows.0.values_mut().for_each(|table| table.rows.sort());
            }
            assert_eq!(quick, whole, "{change}");
            let count = |name: &str| quick.0[name].rows.len();
            assert_eq!((count("a"), count("b")), (a, b), "{change}");
        }
        let odd = known.rows.0.get("\"odd \"\"name\"").unwrap();
        assert!(odd.columns[0].is_time && !odd.columns[1].is_time);
        let refers_to = Some(("a".to_owned(), "id".to_owned()));
        assert_eq!(odd.columns[1].refers_to, refers_to);
        let left_out = tables.read(&mut connection, |table| table == "a", None);
        assert!(!left_out.await.unwrap().0.contains_key("a"));
        server.stop().await.unwrap();
    }
}
