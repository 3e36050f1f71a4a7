//! The strictest isolation level of a target's transactions.
//!
//! A session says what it is, in its start-up or in a statement, so whatever it says of a level
//! counts, from the target's first connection on. What a level is set to in words that are not
//! there to be read is not found out, and said to be unknown.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{Control, Decision, Gate, Reply, ReplyAction, RequestAction, Step, StepKind};

/// An isolation level of PostgreSQL, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// READ UNCOMMITTED too, which PostgreSQL takes for the same.
    ReadCommitted,
    /// A transaction sees what its first statement saw.
    RepeatableRead,
    /// And is refused what no serial order gives.
    Serializable,
    /// It is worked out where it cannot be read, so it may be any.
    Unknown,
}

/// What has been said of isolation levels so far.
#[derive(Debug)]
pub struct Isolation {
    control: Control,
    strictest: Mutex<Level>,
}

impl Isolation {
    /// Listens at a proxy's gate, until another gate takes its place. To be called before the
    /// target starts.
    pub fn watch(control: &Control) -> Arc<Isolation> {
        let isolation = Arc::new(Isolation {
            control: control.clone(),
            strictest: Mutex::new(Level::ReadCommitted),
        });
        isolation.watch_again();
        isolation
    }

    /// Listens at the same gate again, in the place of whatever has taken it.
    pub fn watch_again(self: &Arc<Self>) {
        let listener = Listener(Arc::clone(self));
        self.control.set_gate(Some(Arc::new(listener)));
    }

    /// The strictest level that some session may have.
    pub fn strictest(&self) -> Level {
        *self
            .strictest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether some session may not be READ COMMITTED.
    pub fn is_strict(&self) -> bool {
        self.strictest() > Level::ReadCommitted
    }

    /// Takes note of what `step` says.
    pub fn heed(&self, step: &Step) {
        self.heed_level(level_of_step(step));
        if step.kind == StepKind::Startup {
            // The start-up's options come with the list of sessions.
            for session in self.control.sessions() {
                self.heed_level(level_of(session.parameters.values()));
            }
        }
    }

    fn heed_level(&self, level: Level) {
        let strictest = self.strictest.lock();
        let mut strictest = strictest.unwrap_or_else(PoisonError::into_inner);
        *strictest = level.max(*strictest);
    }
}

/// The strictest level that the statements of `step` can lead to.
pub fn level_of_step(step: &Step) -> Level {
    let levels = step.statements.iter().map(|statement| {
        let parameters = statement.parameters.iter().flatten();
        level_of(parameters.chain([&statement.sql]))
    });
    levels.max().unwrap_or(Level::ReadCommitted)
}

/// The strictest level that a statement with these parameters, a start-up or a setting can lead
/// to.
pub fn level_of<'a>(texts: impl IntoIterator<Item = &'a String>) -> Level {
    let mut all = String::new();
    for text in texts {
        all.push_str(&text.to_ascii_lowercase());
        all.push('\n');
    }
    let says = |word: &str| all.contains(word);
    if says("serializable") {
        Level::Serializable
    } else if says("repeatable") {
        Level::RepeatableRead
    } else if says("set_config") && says("isolation") && !says("read committed") {
        Level::Unknown
    } else {
        Level::ReadCommitted
    }
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

    fn level(sql: &str, parameters: &[&str]) -> Level {
        let texts: Vec<_> = [sql]
            .iter()
            .chain(parameters)
            .map(|text| text.to_string())
            .collect();
        level_of(&texts)
    }

    #[test]
    fn what_leaves_read_committed_is_known_by_its_words() {
        use Level::{RepeatableRead, Serializable, Unknown};
        for (sql, expected) in [
            ("BEGIN ISOLATION LEVEL SERIALIZABLE", Serializable),
            (
                "set transaction isolation level repeatable read",
                RepeatableRead,
            ),
            (
                "set default_transaction_isolation to 'Repeatable Read'",
                RepeatableRead,
            ),
            (
                "-c default_transaction_isolation=repeatable\\ read",
                RepeatableRead,
            ),
            (
                "select set_config('default_transaction_isolation', level, false) from setting",
                Unknown,
            ),
        ] {
            assert_eq!(level(sql, &[]), expected, "{sql}");
        }
        let set = "select set_config($1, $2, false)";
        assert_eq!(
            level(set, &["default_transaction_isolation", "serializable"]),
            Serializable
        );
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
            assert_eq!(level(sql, &[]), Level::ReadCommitted, "{sql}");
        }
    }
}
