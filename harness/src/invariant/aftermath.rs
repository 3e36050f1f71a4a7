//! What the target left behind in the database.

use super::Evidence;

pub(super) fn open_transactions(evidence: &Evidence) -> Vec<String> {
    evidence.aftermath.open_transactions.clone()
}

pub(super) fn locks(evidence: &Evidence) -> Vec<String> {
    evidence.aftermath.locks.clone()
}

pub(super) fn deadlocks(evidence: &Evidence) -> Vec<String> {
    match evidence.aftermath.deadlocks {
        0 => Vec::new(),
        count => vec![format!("{count} deadlocks were broken by PostgreSQL")],
    }
}
