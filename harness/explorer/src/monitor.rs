//! Asks PostgreSQL what no protocol message tells: who waits for whom.
//!
//! It has a connection of its own and reads only the server's own state; for a
//! moment it locks rows, which changes none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::catalog::Catalog;

/// Who is in whose way, by process id; only processes that wait for a lock are listed.
pub(super) type Blockers = BTreeMap<i32, Vec<i32>>;

/// An advisory lock, as `pg_locks` names it: `classid`, `objid`, `objsubid`.
pub type AdvisoryLock = (i64, i64, i32);

/// How long a session may take to end after its client has gone.
const END_BOUND: Duration = Duration::from_secs(5);

/// How often the end of a session is asked for.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The harness's view of the lock manager.
#[derive(Debug)]
pub struct Monitor {
    connection: PgConnection,
    /// The advisory locks that the target holds for as long as it lives.
    standing: Vec<AdvisoryLock>,
    /// How often it was asked who waits for whom.
    pub(super) polls: u64,
}

impl Monitor {
    /// Connects, with options that name the session and bound its statements. The `standing` locks
    /// are never said to be left.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn open(
        options: PgConnectOptions,
        standing: Vec<AdvisoryLock>,
    ) -> Result<Monitor, sqlx::Error> {
        let options = options.disable_statement_logging();
        Ok(Monitor {
            connection: options.connect().await?,
            standing,
            polls: 0,
        })
    }

    /// Which of `pids` wait for a lock, and whom they wait for (`pg_blocking_pids`).
    pub(super) async fn blockers(&mut self, pids: &[i32]) -> Result<Blockers, sqlx::Error> {
        self.polls += 1;
        let rows: Vec<(i32, Vec<i32>)> =
            sqlx::query_as("select pid, pg_blocking_pids(pid) from unnest($1::int4[]) as t (pid)")
                .bind(pids)
                .fetch_all(&mut self.connection)
                .await?;
        let waits = rows.into_iter().filter(|(_, by)| !by.is_empty());
        Ok(waits.collect())
    }

    /// Locks every row that nobody else has locked, until [`Monitor::let_rows_go`]; tables that
    /// are locked as a whole, are not ours to lock or are gone meanwhile are left out.
    pub(super) async fn hold_rows(&mut self) -> Result<(), sqlx::Error> {
        const HOLD: &str = "begin isolation level read committed;
            set local lock_timeout = '20ms';
            do $$ declare it regclass; begin
                for it in select oid from pg_class
                           where relkind = 'r' and relnamespace not in
                                 (select oid from pg_namespace
                                   where nspname ~ '^pg_'
                                      or nspname in ('information_schema', 'rowlock'))
                loop
                    begin
                        execute format('select from %s for update skip locked', it);
                    exception
                        when lock_not_available or insufficient_privilege or undefined_table
                        then null;
                    end;
                end loop;
            end $$";
        sqlx::raw_sql(HOLD)
            .execute(&mut self.connection)
            .await
            .map(drop)
    }

    /// Gives the rows back, unchanged.
    pub(super) async fn let_rows_go(&mut self) -> Result<(), sqlx::Error> {
        sqlx::raw_sql("rollback")
            .execute(&mut self.connection)
            .await
            .map(drop)
    }

    /// Ends the statement under way in a session.
    pub(super) async fn cancel(&mut self, pid: i32) -> Result<(), sqlx::Error> {
        sqlx::query("select pg_cancel_backend($1)")
            .bind(pid)
            .execute(&mut self.connection)
            .await
            .map(drop)
    }

    /// What these sessions hold and await, in words; standing locks are left out.
    pub(super) async fn locks(&mut self, pids: &[i32]) -> Result<Vec<String>, sqlx::Error> {
        let classes: Vec<_> = self.standing.iter().map(|lock| lock.0).collect();
        let objects: Vec<_> = self.standing.iter().map(|lock| lock.1).collect();
        let parts: Vec<_> = self.standing.iter().map(|lock| lock.2).collect();
        sqlx::query_scalar(
            "select distinct format('a session %s %s on %s',
                                    case when granted then 'holds' else 'awaits' end, mode,
                                    coalesce(relation::regclass::text, locktype))
               from pg_locks
              where pid = any ($1) and locktype <> 'virtualxid' and mode <> 'SIReadLock'
                and not (locktype = 'advisory' and exists (
                    select from unnest($2::int8[], $3::int8[], $4::int4[]) as standing (c, o, s)
                    where (c, o, s) = (classid::int8, objid::int8, objsubid::int4)
                ))
              order by 1",
        )
        .bind(pids)
        .bind(classes)
        .bind(objects)
        .bind(parts)
        .fetch_all(&mut self.connection)
        .await
    }

    /// Waits until a session whose client has gone is gone too, and its locks with it; says
    /// false if it is still there after [`END_BOUND`].
    pub(super) async fn wait_for_end(&mut self, pid: i32) -> Result<bool, sqlx::Error> {
        let deadline = Instant::now() + END_BOUND;
        loop {
            let is_there: bool =
                sqlx::query_scalar("select exists (select from pg_stat_activity where pid = $1)")
                    .bind(pid)
                    .fetch_one(&mut self.connection)
                    .await?;
            if !is_there || Instant::now() > deadline {
                return Ok(!is_there);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// What the database says of its tables.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn catalog(&mut self) -> Result<Catalog, sqlx::Error> {
        Catalog::read(&mut self.connection).await
    }

    /// Closes the connection.
    pub async fn close(self) {
        // There is nothing to lose on it.
        let _ = self.connection.close().await;
    }
}

/// A circle of waiting processes: each waits for the next, and the last for the first.
pub(super) fn cycle(blockers: &Blockers) -> Option<Vec<i32>> {
    for start in blockers.keys() {
        let mut path = vec![*start];
        if extend(blockers, &mut path) {
            let last = path.pop();
            let from = path.iter().position(|pid| Some(*pid) == last)?;
            return Some(path.split_off(from));
        }
    }
    None
}

/// Walks on from the end of `path` until it meets itself; its last element is then met before.
fn extend(blockers: &Blockers, path: &mut Vec<i32>) -> bool {
    let next = path.last().and_then(|pid| blockers.get(pid));
    for pid in next.into_iter().flatten() {
        let is_met = path.contains(pid);
        path.push(*pid);
        if is_met || extend(blockers, path) {
            return true;
        }
        path.pop();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_found_behind_those_who_only_wait_for_it() {
        let blockers = Blockers::from([(1, vec![2]), (2, vec![3]), (3, vec![4, 2])]);
        assert_eq!(cycle(&blockers), Some(vec![2, 3]));
    }

    #[tokio::test]
    async fn a_standing_lock_is_not_left_and_another_is() {
        let database = rowlock_postgres::fresh_database("monitor").await;
        let mut target = database.options().connect().await.unwrap();
        let pid: i32 = sqlx::query_scalar("select pg_backend_pid() from pg_advisory_lock(7)")
            .fetch_one(&mut target)
            .await
            .unwrap();
        let mut monitor = Monitor::open(database.options(), vec![(0, 7, 1)])
            .await
            .unwrap();
        assert_eq!(monitor.locks(&[pid]).await.unwrap(), [""; 0]);
        let other = "select from pg_advisory_lock(8)";
        sqlx::query(other).execute(&mut target).await.unwrap();
        let left = monitor.locks(&[pid]).await.unwrap();
        assert_eq!(left, ["a session holds ExclusiveLock on advisory"]);
    }

    #[test]
    fn a_queue_is_no_circle() {
        let blockers = Blockers::from([(1, vec![2, 3]), (2, vec![3])]);
        assert_eq!(cycle(&blockers), None);
    }
}
