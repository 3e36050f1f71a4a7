//! What is read of a contract's database: the tables that are compared, and the invariants' numbers.

use rowlock_contract::invariant::Predicate;
use rowlock_core::rows::Rows;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::judge::Numbers;
use super::known::Known;
use super::subject::ContractSubject;
use super::template::wrong;
use crate::environment::EnvironmentError;
use crate::tables::{self, Tables};

impl ContractSubject {
    /// What the tables that are compared hold now.
    pub(super) async fn learn_tables(
        &self,
        tables: &Tables,
        connection: &mut PgConnection,
    ) -> Result<tables::Known, sqlx::Error> {
        let is_left_out = |table: &str| self.is_ignored(table);
        tables.learn(connection, is_left_out).await
    }

    fn is_ignored(&self, table: &str) -> bool {
        let ignored = &self.contract().database.ignore;
        ignored.iter().any(|it| it.is_table(table))
    }

    /// All tables that are compared; what is as in `known` need not be read again.
    pub(super) async fn read_tables(
        &self,
        tables: &Tables,
        known: &tables::Known,
        connection: &mut PgConnection,
    ) -> Result<Rows, sqlx::Error> {
        let is_left_out = |table: &str| self.is_ignored(table);
        let mut rows = tables.read(connection, is_left_out, Some(known)).await?;
        let ignored = &self.contract().database.ignore;
        for (name, table) in &mut rows.0 {
            let is_ignored = |column: &str| ignored.iter().any(|it| it.is_column(name, column));
            let hidden = table.columns.iter().map(|column| is_ignored(&column.name));
            let hidden: Vec<bool> = hidden.collect();
            for row in &mut table.rows {
                for (cell, hidden) in row.iter_mut().zip(&hidden) {
                    if *hidden {
                        *cell = None;
                    }
                }
            }
        }
        Ok(rows)
    }

    /// An invariant's query that PostgreSQL does not understand is the contract's mistake (class 42:
    /// syntax, and names that are not there).
    pub(super) fn wrong_query(&self, error: EnvironmentError) -> EnvironmentError {
        let EnvironmentError::Sql(sql) = &error else {
            return error;
        };
        let code = sql.as_database_error().and_then(|error| error.code());
        match code.is_some_and(|code| code.starts_with("42")) {
            true => wrong(self.contract(), 0, &format!("invariants: {sql}")),
            false => error,
        }
    }

    /// What the queries of the contract's invariants say now.
    pub(super) async fn read_numbers(
        &self,
        known: &Known,
        connection: &mut PgConnection,
    ) -> Result<Numbers, sqlx::Error> {
        let mut numbers = Numbers::new();
        for invariant in &self.contract().invariants {
            let (Predicate::NoRows(query) | Predicate::Number { query, .. }) = &invariant.predicate;
            let query = query.fill(&known.shared);
            let query = query
                .unwrap_or_default()
                .trim()
                .trim_end_matches(';')
                .to_owned();
            let sql = match &invariant.predicate {
                Predicate::NoRows(_) => {
                    format!("select found::text from ({query}) as found limit 5")
                }
                Predicate::Number { .. } => format!("select ({query})::text"),
            };
            let rows = sqlx::query(AssertSqlSafe(sql))
                .fetch_all(&mut *connection)
                .await?;
            let texts = rows.iter().map(|row| row.try_get::<Option<String>, _>(0));
            let texts: Result<Vec<_>, _> = texts.collect();
            numbers.insert(
                invariant.name.clone(),
                texts?.into_iter().flatten().collect(),
            );
        }
        Ok(numbers)
    }
}
