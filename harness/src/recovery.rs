//! Whether a target recovers after it, or its database, was broken.

use std::time::{Duration, Instant};

use rowlock_core::finding::Finding;
use rowlock_shop::history::{Completion, Operation, Refusal, Request};

use crate::world::World;

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

/// Sends `request` until it is acknowledged, up to `deadline`: whether it was, and every attempt
/// that reached the target.
pub async fn sell_again(
    world: &World<'_>,
    request: Request,
    deadline: Instant,
) -> (Finding, Vec<Operation>) {
    let operations = until(world, request, deadline, Operation::is_ok).await;
    let violations = match operations.last() {
        Some(last) if last.is_ok() => Vec::new(),
        Some(last) => vec![format!("the last attempt was answered {}", last.describe())],
        None => vec!["no connection was accepted in that time".into()],
    };
    let statement = "within 5 s after the last fault the target sells again";
    (
        Finding::new("serves-again", statement, violations),
        operations,
    )
}

/// Sends `request`, once at least and up to `deadline`, until its operation `is_final`: every
/// attempt that reached the target.
pub async fn until(
    world: &World<'_>,
    request: Request,
    deadline: Instant,
    is_final: impl Fn(&Operation) -> bool,
) -> Vec<Operation> {
    let mut operations: Vec<Operation> = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let operation = world.purchase(0, request.clone(), left).await;
        if operation.completion != Completion::Fail(Refusal::NotSent) {
            operations.push(operation);
        }
        if operations.last().is_some_and(&is_final) || Instant::now() >= deadline {
            return operations;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
