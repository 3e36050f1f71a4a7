//! Which error PostgreSQL can raise at which kind of statement.
//!
//! A service cannot be blamed for how it takes what no server answers. The table is in
//! [`can_raise`], its sources beside each row. It errs on the side of what can be: what a
//! function or a trigger does is not known, so anything may come of it, and whatever an operator
//! may set (`statement_timeout`, `lock_timeout`) counts as set. Functions in defaults, indexes and
//! constraints are taken to raise nothing of their own.
//!
//! | SQLSTATE | session | read | lock | write | COMMIT | anything |
//! |---|---|---|---|---|---|---|
//! | 40001 | - | serializable | repeatable read | repeatable read | serializable | yes |
//! | 40P01 | - | yes, but one table alone | yes | yes | - | yes |
//! | 55P03 | - | yes | yes | yes | - | yes |
//! | 57014 | yes | yes | yes | yes | yes | yes |
//! | 23514 | - | - | - | yes | - | yes |
//! | 53300 | - | - | - | - | - | - |
//! | XX000 | yes | yes | yes | yes | yes | yes |
//!
//! ROLLBACK is as "session" is, and so is COMMIT where there is nothing to commit. Where
//! something is deferred to the COMMIT, that is "anything".

use rowlock_proxy::{Step, TransactionState};

use super::SqlState;
use super::statement::{Kind, kinds};
use crate::database::Inspector;
use crate::environment::EnvironmentError;
use rowlock_proxy::isolation::{Level, level_of};

/// What decides beside the statement itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    /// The strictest isolation level that any session may have.
    pub(super) level: Level,
    /// Whether something may be deferred to the COMMIT.
    pub(super) defers: bool,
    /// Whether a statement may do more than it says: triggers, views and rules, row security,
    /// foreign tables, and partitions, between which rows move.
    pub(super) has_hidden_work: bool,
}

impl Surroundings {
    /// Of a target of which nothing is known.
    pub(super) const UNKNOWN: Surroundings = Surroundings {
        level: Level::Unknown,
        defers: true,
        has_hidden_work: true,
    };

    /// Looks the database up; `said` is the strictest level that the target speaks of.
    ///
    /// # Errors
    /// The harness's own statements.
    pub(super) async fn look_up(
        inspector: &Inspector,
        said: Level,
    ) -> Result<Surroundings, EnvironmentError> {
        // A target may come as somebody else.
        let levels: Vec<String> = sqlx::query_scalar(
            "select current_setting('default_transaction_isolation')
             union all
             select setting from pg_db_role_setting s, unnest(s.setconfig) setting
              where s.setdatabase in (0, (select oid from pg_database
                                           where datname = current_database()))
                and setting like 'default\\_transaction\\_isolation=%'",
        )
        .fetch_all(inspector.pool())
        .await?;
        // An internal trigger is a constraint's.
        let (defers, has_hidden_work) = sqlx::query_as(
            "select exists (select from pg_trigger where tgdeferrable),
                    exists (select from pg_trigger where not tgisinternal)
                    or exists (select from pg_policy)
                    or exists (select from pg_class c
                                 join pg_namespace n on n.oid = c.relnamespace
                                where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
                                  and c.relkind in ('v', 'f', 'p'))",
        )
        .fetch_one(inspector.pool())
        .await?;
        Ok(Surroundings {
            level: level_of(&levels).max(said),
            defers,
            has_hidden_work,
        })
    }
}

/// Whether PostgreSQL can raise `state` when `step` comes.
pub(super) fn can_come(state: SqlState, step: &Step, at: Surroundings) -> bool {
    let kinds = kinds(step);
    let is_alone = kinds.len() < 2;
    let state_before = step.state_before;
    // Whatever else comes then is refused with 25P02 (`exec_simple_query`, postgres.c), and a
    // ROLLBACK TO or a ROLLBACK is not refused at all.
    let is_failed = state_before == Some(TransactionState::Failed);
    if is_failed && !matches!(kinds[..], [Kind::Commit | Kind::Rollback]) {
        return false;
    }
    let is_outside = is_alone && state_before == Some(TransactionState::Idle);
    let mut kinds = kinds.into_iter().map(|kind| match kind {
        Kind::Commit if is_outside || is_failed => Kind::Session,
        Kind::Commit if at.defers => Kind::Anything,
        Kind::ReadOne | Kind::Read | Kind::Lock | Kind::Write if at.has_hidden_work => {
            Kind::Anything
        }
        Kind::ReadOne if !is_outside => Kind::Read,
        kind => kind,
    });
    // A text of comments is answered too.
    is_alone && kinds.len() == 0 && can_raise(state, Kind::Session, at.level)
        || kinds.any(|kind| can_raise(state, kind, at.level))
}

/// The table. A lone [`Kind::ReadOne`] is outside a transaction here.
fn can_raise(state: SqlState, kind: Kind, level: Level) -> bool {
    use Kind::{Anything, Commit, Lock, Read, ReadOne, Rollback, Session, Write};
    match state {
        // Any statement may be cancelled, by a time-out or by somebody (`ProcessInterrupts`,
        // postgres.c), and a bug or damaged data may show anywhere (`elog`, elog.h).
        SqlState::QueryCanceled | SqlState::InternalError => true,
        // A backend refuses a connection, and no statement (`InitProcess` in proc.c,
        // `InitPostgres` in postinit.c).
        SqlState::TooManyConnections => false,
        // Checked where a row is written, and never deferred (manual, CREATE TABLE: "NOT NULL
        // and CHECK constraints are not deferrable").
        SqlState::CheckViolation => matches!(kind, Write | Anything),
        // A plain SELECT waits for ACCESS EXCLUSIVE (manual, 13.3.1), also with a `lock_timeout`.
        SqlState::LockNotAvailable => {
            matches!(kind, ReadOne | Read | Lock | Write | Anything)
        }
        // Who waits must hold what somebody else waits for (manual, 13.3.4), which a read of one
        // table outside a transaction does not.
        SqlState::DeadlockDetected => matches!(kind, Read | Lock | Write | Anything),
        // Manual, 13.2: under READ COMMITTED a statement goes on with the row's new version;
        // under REPEATABLE READ "only updating transactions" fail (`ExecUpdate` in
        // nodeModifyTable.c, `ExecLockRows` in nodeLockRows.c); under SERIALIZABLE reads and the
        // COMMIT too (`CheckForSerializableConflictOut`, `PreCommit_CheckForSerializationFailure`
        // in predicate.c).
        SqlState::SerializationFailure => match kind {
            Session | Rollback => false,
            Read | ReadOne | Commit => level >= Level::Serializable,
            Lock | Write => level >= Level::RepeatableRead,
            Anything => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use rowlock_proxy::{SessionId, Statement, StepId, StepKind};

    use super::super::SQL_STATES;
    use super::*;

    const PLAIN: Surroundings = Surroundings {
        level: Level::ReadCommitted,
        defers: false,
        has_hidden_work: false,
    };

    /// The SQLSTATEs that can come at `sql`, where the session stood so before.
    fn raised(sql: &str, before: TransactionState, at: Surroundings) -> Vec<&'static str> {
        let step = Step {
            id: StepId {
                session: SessionId(1),
                number: 1,
            },
            pid: None,
            transaction: 1,
            kind: StepKind::Query,
            state_before: Some(before),
            statements: vec![Statement {
                sql: sql.into(),
                parameters: Vec::new(),
            }],
        };
        let states = SQL_STATES.into_iter();
        let states = states.filter(|state| can_come(*state, &step, at));
        states.map(SqlState::code).collect()
    }

    const ALWAYS: [&str; 2] = ["57014", "XX000"];
    const WAITING: [&str; 4] = ["40P01", "55P03", "57014", "XX000"];
    const WRITING: [&str; 5] = ["40P01", "55P03", "57014", "23514", "XX000"];
    const ALL: [&str; 6] = ["40001", "40P01", "55P03", "57014", "23514", "XX000"];

    #[test]
    fn under_read_committed_nothing_fails_to_serialize() {
        use TransactionState::{Idle, Open};
        let raised = |sql, before| raised(sql, before, PLAIN);
        assert_eq!(raised("begin", Idle), ALWAYS);
        assert_eq!(raised("select stock from item for update", Open), WAITING);
        assert_eq!(raised("select stock from item", Open), WAITING);
        assert_eq!(raised("update item set stock = 1", Open), WRITING);
        assert_eq!(raised("commit", Open), ALWAYS);
        assert_eq!(raised("rollback", Open), ALWAYS);
        assert_eq!(raised("select buy(1)", Idle), ALL);
    }

    #[test]
    fn what_tidies_a_session_up_meets_nobody_at_any_level() {
        let strict = Surroundings {
            level: Level::Serializable,
            defers: true,
            has_hidden_work: true,
        };
        let tidying = "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;";
        for sql in [tidying, "DISCARD ALL", "RESET ALL", "select 1", "rollback"] {
            assert_eq!(raised(sql, TransactionState::Idle, strict), ALWAYS, "{sql}");
        }
    }

    #[test]
    fn a_stricter_level_refuses_writers_and_then_readers_and_the_commit() {
        let fails = |sql, level| {
            let at = Surroundings { level, ..PLAIN };
            raised(sql, TransactionState::Open, at).contains(&"40001")
        };
        let fails = |sql| {
            [
                Level::ReadCommitted,
                Level::RepeatableRead,
                Level::Serializable,
                Level::Unknown,
            ]
            .map(|level| fails(sql, level))
        };
        assert_eq!(
            fails("update item set stock = 1"),
            [false, true, true, true]
        );
        assert_eq!(fails("select 1 from item"), [false, false, true, true]);
        assert_eq!(fails("commit"), [false, false, true, true]);
        assert_eq!(fails("begin"), [false; 4]);
    }

    #[test]
    fn a_read_of_one_table_outside_a_transaction_is_in_no_circle() {
        use TransactionState::{Idle, Open};
        let is_in_a_circle = |sql, before| raised(sql, before, PLAIN).contains(&"40P01");
        assert!(!is_in_a_circle("select stock from item", Idle));
        assert!(is_in_a_circle("select stock from item", Open));
        assert!(is_in_a_circle("select 1 from item, wallet", Idle));
        assert!(is_in_a_circle("begin; select stock from item", Idle));
    }

    #[test]
    fn a_failed_transaction_can_only_be_ended() {
        use TransactionState::Failed;
        let raised = |sql| raised(sql, Failed, PLAIN);
        assert_eq!(raised("rollback"), ALWAYS);
        assert_eq!(raised("commit"), ALWAYS);
        assert_eq!(raised("rollback to savepoint a"), [""; 0]);
        assert_eq!(raised("update item set stock = 1"), [""; 0]);
    }

    #[test]
    fn a_commit_does_what_was_deferred_to_it_and_a_trigger_whatever_it_likes() {
        use TransactionState::{Idle, Open};
        let defers = Surroundings {
            defers: true,
            ..PLAIN
        };
        assert_eq!(raised("commit", Open, defers), ALL);
        assert_eq!(raised("commit", Idle, defers), ALWAYS);
        assert_eq!(raised("begin; commit", Idle, defers), ALL);
        let hidden = Surroundings {
            has_hidden_work: true,
            ..PLAIN
        };
        assert_eq!(raised("delete from item", Open, hidden), ALL);
        assert_eq!(raised("commit", Open, hidden), ALWAYS);
    }
}
