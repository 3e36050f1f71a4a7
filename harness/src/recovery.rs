//! Whether a target sells again after it, or its database, was broken.

use std::time::{Duration, Instant};

use crate::history::{Operation, Request};
use crate::invariant::Finding;
use crate::world::World;

/// How long a target may take to sell again after the last fault.
pub const RECOVERY_BOUND: Duration = Duration::from_secs(5);

/// How often a target that recovers is asked again.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Sends `request` until it is acknowledged, for [`RECOVERY_BOUND`] at most: whether it was,
/// and every attempt.
pub async fn sell_again(world: &World<'_>, request: Request) -> (Finding, Vec<Operation>) {
    let deadline = Instant::now() + RECOVERY_BOUND;
    let mut operations = Vec::new();
    while Instant::now() < deadline && !operations.last().is_some_and(Operation::is_ok) {
        match world.connect(0).await {
            Ok(mut client) => operations.push(client.purchase(request.clone()).await),
            Err(error) => tracing::debug!(%error, "the target takes no connection"),
        }
        if !operations.last().is_some_and(Operation::is_ok) {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
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
