//! The harness's own sessions in a target's database: none waits for ever.
//!
//! A target may leave its rows locked, and nobody but the target would ever let them go. So every
//! statement has a bound, and one that came to it in front of a lock says who holds it.

use std::time::Duration;

use sqlx::PgExecutor;
use sqlx::postgres::PgConnectOptions;

use crate::environment::EnvironmentError;

/// How long a statement waits for a lock. Longer than a target needs that ends what was left
/// open by a time-out of its own: under faults, ours takes 30 s, counted from before the wait.
const LOCK_BOUND: Duration = Duration::from_secs(30);

/// How long a statement takes at most.
const STATEMENT_BOUND: Duration = Duration::from_secs(120);

/// PostgreSQL's name for a lock that did not come in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// PostgreSQL's name for a row that others still refer to.
const FOREIGN_KEY_VIOLATION: &str = "23503";

/// The target's sessions that are inside a transaction, in words. An aborted transaction that was
/// not ended has no `xact_start` any more, only its state.
pub(crate) const OPEN_TRANSACTIONS: &str = "
    select format('session %s (%s) is %s; its last statement: %s',
                  pid, application_name, state, left(query, 200))
    from pg_stat_activity
    where datname = current_database()
      and backend_type = 'client backend'
      and application_name <> 'rowlock'
      and (xact_start is not null or state like 'idle in transaction%')
    union all
    select format('prepared transaction %s', gid)
    from pg_prepared_xacts
    where database = current_database()
    order by 1";

/// Options for a session of the harness's own: named, so that it is told from the target's, and
/// bounded.
pub(crate) fn options(options: PgConnectOptions) -> PgConnectOptions {
    let ms = |bound: Duration| bound.as_millis().to_string();
    options.application_name("rowlock").options([
        ("lock_timeout", ms(LOCK_BOUND)),
        ("statement_timeout", ms(STATEMENT_BOUND)),
    ])
}

/// What was `done`, or why not: where a lock was in the way, with whoever may hold it.
pub(crate) async fn explained<'e, T>(
    executor: impl PgExecutor<'e>,
    done: Result<T, sqlx::Error>,
) -> Result<T, EnvironmentError> {
    let error = match done {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        Some(LOCK_NOT_AVAILABLE) => {}
        Some(FOREIGN_KEY_VIOLATION) => return Err(EnvironmentError::NotPutBack(error)),
        _ => return Err(error.into()),
    }
    let open = sqlx::query_scalar(OPEN_TRANSACTIONS).fetch_all(executor);
    Err(match open.await {
        Ok(holders) => EnvironmentError::Locked {
            waited: LOCK_BOUND,
            holders,
        },
        Err(_) => error.into(),
    })
}
