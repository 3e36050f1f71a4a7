//! Whether a target's transactions are all READ COMMITTED, as footprints take them to be.
//!
//! The one idea: a session says what it is, in its start-up or in a statement, so whatever it says
//! of another level counts, from the target's first connection on, long before a statement is
//! held. At a stricter level a transaction sees what its first statement saw. What a level is set
//! to in words that are not there to be read is not found out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::proxy::{Control, Decision, Gate, Reply, ReplyAction, RequestAction, Step, StepKind};

/// What has been said of isolation levels so far.
#[derive(Debug)]
pub struct Isolation {
    control: Control,
    is_strict: AtomicBool,
}

impl Isolation {
    /// Listens at a proxy's gate, until another gate takes its place. To be called before the
    /// target starts.
    pub fn watch(control: &Control) -> Arc<Isolation> {
        let isolation = Arc::new(Isolation {
            control: control.clone(),
            is_strict: AtomicBool::new(false),
        });
        control.set_gate(Some(Arc::new(Listener(Arc::clone(&isolation)))));
        isolation
    }

    /// Whether some session may not be READ COMMITTED.
    pub(super) fn is_strict(&self) -> bool {
        self.is_strict.load(Ordering::Acquire)
    }

    /// Takes note of what `step` says.
    pub(super) fn heed(&self, step: &Step) {
        let mut statements = step.statements.iter();
        let is_strict = statements.any(|statement| {
            let parameters = statement.parameters.iter().flatten();
            asks_for_more(parameters.chain([&statement.sql]))
        });
        // The start-up's options come with the list of sessions.
        let is_strict = is_strict
            || step.kind == StepKind::Startup
                && (self.control.sessions().iter())
                    .any(|session| asks_for_more(session.parameters.values()));
        if is_strict {
            self.is_strict.store(true, Ordering::Release);
        }
    }
}

/// Whether a statement with these parameters, or a start-up, can lead to another level than READ
/// COMMITTED.
fn asks_for_more<'a>(texts: impl IntoIterator<Item = &'a String>) -> bool {
    let mut all = String::new();
    for text in texts {
        all.push_str(&text.to_ascii_lowercase());
        all.push('\n');
    }
    let says = |word: &str| all.contains(word);
    let is_named = says("serializable") || says("repeatable");
    // A level that is worked out elsewhere.
    is_named || says("set_config") && says("isolation") && !says("read committed")
}

/// Lets everything pass.
#[derive(Debug)]
struct Listener(Arc<Isolation>);

impl Gate for Listener {
    fn on_request(&self, step: &Step) -> Decision<RequestAction> {
        self.0.heed(step);
        Decision::Now(RequestAction::Deliver)
    }

    fn on_reply(&self, _: &Step, _: &Reply) -> Decision<ReplyAction> {
        Decision::Now(ReplyAction::Deliver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(sql: &str, parameters: &[&str]) -> bool {
        let texts: Vec<_> = [sql]
            .iter()
            .chain(parameters)
            .map(|text| text.to_string())
            .collect();
        asks_for_more(&texts)
    }

    #[test]
    fn what_leaves_read_committed_is_known_by_its_words() {
        for sql in [
            "BEGIN ISOLATION LEVEL SERIALIZABLE",
            "set transaction isolation level repeatable read",
            "set default_transaction_isolation to 'Repeatable Read'",
            "-c default_transaction_isolation=repeatable\\ read",
            "select set_config('default_transaction_isolation', level, false) from setting",
        ] {
            assert!(asks(sql, &[]), "{sql}");
        }
        let set = "select set_config($1, $2, false)";
        assert!(asks(
            set,
            &["default_transaction_isolation", "serializable"]
        ));
    }

    #[test]
    fn what_asks_for_read_committed_or_only_looks_changes_nothing() {
        for sql in [
            "begin isolation level read committed",
            "show transaction isolation level",
            "select current_setting('transaction_isolation')",
            "select set_config('transaction_isolation', 'read committed', false)",
            "select set_config('search_path', '', false)",
        ] {
            assert!(!asks(sql, &[]), "{sql}");
        }
    }
}
