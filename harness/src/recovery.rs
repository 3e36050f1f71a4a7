//! Whether a target recovers after it, or its database, was broken.

use std::time::{Duration, Instant};

use rowlock_core::answer::Answer;
use rowlock_core::finding::Finding;

/// How long a target may take to recover after the last fault.
pub const RECOVERY_BOUND: Duration = Duration::from_secs(5);

/// What a look at the target may take, although the harness came late to it.
const LOOK_BOUND: Duration = Duration::from_secs(2);

/// How often a target that recovers is asked again.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Until when a target must have recovered of a fault that was over at `over`: for
/// [`RECOVERY_BOUND`], and never so soon that nobody could look any more.
pub fn deadline(over: Instant) -> Instant {
    (over + RECOVERY_BOUND).max(Instant::now() + LOOK_BOUND)
}

/// Whether the `last` attempt of somebody who came after the fault was served.
pub(crate) fn serves_again<O: Answer>(
    statement: &str,
    last: Option<&O>,
    is_served: impl Fn(&O) -> bool,
) -> Finding {
    let violations = match last {
        Some(last) if is_served(last) => Vec::new(),
        Some(last) => vec![format!("the last attempt was answered {}", last.describe())],
        None => vec!["no connection was accepted in that time".into()],
    };
    Finding::new("serves-again", statement, violations)
}

/// Asks, once at least and up to `deadline`, until an operation `is_final` or all `is_over`: every
/// attempt that reached the target. What is asked is told how long it may take.
pub(crate) async fn until<O, F: Future<Output = Option<O>>>(
    ask: impl Fn(Duration) -> F,
    deadline: Instant,
    is_final: impl Fn(&O) -> bool,
    is_over: impl Fn() -> bool,
) -> Vec<O> {
    let mut operations: Vec<O> = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        operations.extend(ask(left).await);
        let is_known = operations.last().is_some_and(&is_final);
        if is_known || Instant::now() >= deadline || is_over() {
            return operations;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
