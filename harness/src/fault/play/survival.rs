//! Whether the target still runs.

use rowlock_core::finding::Finding;

/// What ends the target's process is nobody's mistake but its own.
pub(super) fn judge(exited: Option<String>) -> Finding {
    let ended = exited.map(|how| format!("a process of the target has ended: {how}"));
    Finding::new(
        "target-survives",
        "the target's processes still run",
        ended.into_iter().collect(),
    )
}
