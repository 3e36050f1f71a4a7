//! The database of one trial as the harness itself sees it: seeding, reading back, and
//! looking for what a target left open.
//!
//! It uses connections of its own, named `rowlock`, and judges only the others. None of its
//! statements waits for ever.

use std::time::{Duration, Instant};

use rowlock_core::universal::Aftermath;
use rowlock_explorer::monitor::AdvisoryLock;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::baseline::{Baseline, OwnRows};
use crate::bounded;
use crate::environment::EnvironmentError;

/// How long a target at rest may take to end its transactions and give its locks back.
pub const REST_BOUND: Duration = Duration::from_secs(5);

/// How often a condition in the database is asked for while it is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The harness's own way into a trial's database.
#[derive(Debug, Clone)]
pub struct Inspector {
    pool: PgPool,
    /// The advisory locks that the target holds for as long as it lives.
    standing: Vec<AdvisoryLock>,
    baseline: Baseline,
}

impl Inspector {
    /// Connects to a database.
    ///
    /// # Errors
    /// No connection.
    pub async fn open(options: PgConnectOptions) -> Result<Inspector, sqlx::Error> {
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .connect_with(bounded::options(options))
            .await?;
        Ok(Inspector {
            pool,
            standing: Vec::new(),
            baseline: Baseline::default(),
        })
    }

    /// Remembers the tables that the subject does not fill by itself, so that
    /// [`Inspector::clear`] puts them back.
    ///
    /// # Errors
    /// As [`Inspector::execute`].
    pub(crate) async fn remember(&mut self, own_rows: OwnRows) -> Result<(), EnvironmentError> {
        let mut connection = self.pool.acquire().await?;
        let captured = Baseline::capture(&mut connection, own_rows).await;
        drop(connection);
        self.baseline = self.explained(captured).await?;
        Ok(())
    }

    /// As [`Inspector::clear`], and remembers anew if the target has made tables meanwhile.
    ///
    /// # Errors
    /// As [`Inspector::execute`].
    pub(crate) async fn clear_and_renew(&mut self) -> Result<(), EnvironmentError> {
        let mut connection = self.pool.acquire().await?;
        let renewed = self.baseline.renew(&mut connection).await;
        drop(connection);
        self.explained(renewed).await?;
        self.clear().await
    }

    /// What is put back.
    pub(crate) fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    /// The connections, for what a scenario does to the database itself.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Runs statements of the harness's own, without parameters.
    ///
    /// # Errors
    /// Whatever the database says; [`EnvironmentError::Locked`] where the target is in the way.
    pub async fn execute(&self, sql: String) -> Result<(), EnvironmentError> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.pool).await;
        self.explained(done).await.map(drop)
    }

    /// What was `done`, or why not, with whoever was in the way.
    pub(crate) async fn explained<T>(
        &self,
        done: Result<T, sqlx::Error>,
    ) -> Result<T, EnvironmentError> {
        bounded::explained(&self.pool, done).await
    }

    /// Removes all rows of the subject's own, and puts all other tables back.
    ///
    /// # Errors
    /// As [`Inspector::execute`].
    pub async fn clear(&self) -> Result<(), EnvironmentError> {
        self.execute(self.baseline.clear_sql()).await
    }

    /// Waits until the target's sessions are out of their transactions and hold no lock, for
    /// [`REST_BOUND`] at most, and says what is left then. `deadlocks` is not read here.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn wait_for_rest(&self) -> Result<Aftermath, sqlx::Error> {
        let deadline = Instant::now() + REST_BOUND;
        loop {
            let aftermath = Aftermath {
                open_transactions: self.open_transactions().await?,
                locks: self.locks().await?,
                deadlocks: 0,
            };
            let at_rest = aftermath.open_transactions.is_empty() && aftermath.locks.is_empty();
            if at_rest || Instant::now() > deadline {
                return Ok(aftermath);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn open_transactions(&self) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar(bounded::OPEN_TRANSACTIONS)
            .fetch_all(&self.pool)
            .await
    }

    /// Takes note of the advisory locks that are held now: a target that has only been started, and
    /// asked nothing, holds them by design, as one that elects its leader so. They are not left.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn note_standing_locks(&mut self) -> Result<(), sqlx::Error> {
        self.standing = sqlx::query_as(
            "select l.classid::int8, l.objid::int8, l.objsubid::int4
             from pg_locks l
             join pg_stat_activity a on a.pid = l.pid
             where l.locktype = 'advisory' and l.granted
               and a.datname = current_database()
               and a.application_name <> 'rowlock'",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(())
    }

    /// The advisory locks that [`Inspector::note_standing_locks`] took note of.
    pub(crate) fn standing_locks(&self) -> &[AdvisoryLock] {
        &self.standing
    }

    /// Predicate locks are none that anybody waits for, and outlive their transactions (PostgreSQL
    /// manual, 13.2.3).
    async fn locks(&self) -> Result<Vec<String>, sqlx::Error> {
        let classes: Vec<_> = self.standing.iter().map(|lock| lock.0).collect();
        let objects: Vec<_> = self.standing.iter().map(|lock| lock.1).collect();
        let parts: Vec<_> = self.standing.iter().map(|lock| lock.2).collect();
        sqlx::query_scalar(
            "select format('session %s (%s) %s %s on %s', l.pid, a.application_name,
                           case when l.granted then 'holds' else 'awaits' end, l.mode,
                           coalesce(l.relation::regclass::text, l.locktype))
             from pg_locks l
             join pg_stat_activity a on a.pid = l.pid
             where a.datname = current_database()
               and a.backend_type = 'client backend'
               and a.application_name <> 'rowlock'
               and l.locktype <> 'virtualxid'
               and l.mode <> 'SIReadLock'
               and not (l.locktype = 'advisory' and exists (
                   select from unnest($1::int8[], $2::int8[], $3::int4[]) as standing (c, o, s)
                   where (c, o, s) = (l.classid::int8, l.objid::int8, l.objsubid::int4)
               ))
             order by 1",
        )
        .bind(classes)
        .bind(objects)
        .bind(parts)
        .fetch_all(&self.pool)
        .await
    }

    /// The deadlocks that PostgreSQL broke in this database. A session's count arrives at the
    /// latest when it ends (`pgstat_report_stat`), so ask once the target is stopped.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn deadlocks(&self) -> Result<i64, sqlx::Error> {
        self.wait_for_no_sessions().await?;
        sqlx::query_scalar(
            "select deadlocks from pg_stat_database where datname = current_database()",
        )
        .fetch_one(&self.pool)
        .await
    }

    /// Waits until no session but the harness's own is left, for [`REST_BOUND`] at most.
    pub(crate) async fn wait_for_no_sessions(&self) -> Result<(), sqlx::Error> {
        let deadline = Instant::now() + REST_BOUND;
        while self.sessions().await? > 0 && Instant::now() < deadline {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// How many sessions others hold in this database.
    async fn sessions(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(
            "select count(*)
             from pg_stat_activity
             where datname = current_database()
               and backend_type = 'client backend'
               and application_name <> 'rowlock'",
        )
        .fetch_one(&self.pool)
        .await
    }

    /// Terminates every session but the harness's own (`pg_terminate_backend`), and says how many.
    ///
    /// # Errors
    /// Whatever the database says; without the right to signal a session, its refusal.
    pub async fn terminate_sessions(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(
            "select count(pg_terminate_backend(pid))
             from pg_stat_activity
             where datname = current_database()
               and backend_type = 'client backend'
               and application_name <> 'rowlock'",
        )
        .fetch_one(&self.pool)
        .await
    }

    /// Terminates the session of server process `pid` and waits until it is gone, for
    /// [`REST_BOUND`] at most.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn terminate(&self, pid: i32) -> Result<(), sqlx::Error> {
        sqlx::query("select pg_terminate_backend($1)")
            .bind(pid)
            .execute(&self.pool)
            .await?;
        let deadline = Instant::now() + REST_BOUND;
        let is_there = "select exists (select from pg_stat_activity where pid = $1)";
        while sqlx::query_scalar(is_there)
            .bind(pid)
            .fetch_one(&self.pool)
            .await?
            && Instant::now() < deadline
        {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Whether a session of the target waits for a lock.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn waits_for_lock(&self) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(
            "select exists (
                 select from pg_stat_activity
                 where datname = current_database()
                   and application_name <> 'rowlock'
                   and wait_event_type = 'Lock'
             )",
        )
        .fetch_one(&self.pool)
        .await
    }

    /// Whether a session of the target runs a statement, or is in a transaction.
    ///
    /// # Errors
    /// Whatever the database says.
    pub(crate) async fn is_at_work(&self) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(
            "select exists (
                 select from pg_stat_activity
                 where datname = current_database()
                   and backend_type = 'client backend'
                   and application_name <> 'rowlock'
                   and state <> 'idle'
             )",
        )
        .fetch_one(&self.pool)
        .await
    }

    /// Closes the connections.
    pub async fn close(self) {
        self.pool.close().await;
    }
}
