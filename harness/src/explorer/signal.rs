//! What the conductor hears: the gate's reports and the requests' answers, in one queue.
//!
//! The gate lets pass at once what touches nothing shared, and holds everything else, replies
//! included.

use std::fmt;

use rowlock_proxy::{
    Decision, Gate, Reply, ReplyAction, RequestAction, SessionEvent, Statement, Step, StepKind,
    TransactionState,
};
use tokio::sync::mpsc::UnboundedSender;

use super::schedule::RequestIndex;

/// Something that happened while requests run.
#[derive(Debug)]
pub enum Signal<A> {
    /// This step is held.
    Held(Step),
    /// This step passed.
    Passed(Step),
    /// The reply to this held step is held.
    Replied(Step, Reply),
    /// The reply to this passed step passed.
    PassedReply(Step, Reply),
    /// Something happened to a session.
    Session(SessionEvent),
    /// The target answered this request.
    Answered(RequestIndex, A),
}

/// The gate of the explorer.
pub(super) struct SignallingGate<A>(pub(super) UnboundedSender<Signal<A>>);

impl<A> fmt::Debug for SignallingGate<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignallingGate")
    }
}

impl<A: Send + 'static> Gate for SignallingGate<A> {
    fn on_request(&self, step: &Step) -> Decision<RequestAction> {
        // A conductor that is gone decides nothing any more, so everything passes.
        if touches_nothing_shared(step) {
            let _ = self.0.send(Signal::Passed(step.clone()));
            return Decision::Now(RequestAction::Deliver);
        }
        match self.0.send(Signal::Held(step.clone())) {
            Ok(()) => Decision::Hold,
            Err(_) => Decision::Now(RequestAction::Deliver),
        }
    }

    fn on_reply(&self, step: &Step, reply: &Reply) -> Decision<ReplyAction> {
        if touches_nothing_shared(step) {
            let _ = self
                .0
                .send(Signal::PassedReply(step.clone(), reply.clone()));
            return Decision::Now(ReplyAction::Deliver);
        }
        match self.0.send(Signal::Replied(step.clone(), reply.clone())) {
            Ok(()) => Decision::Hold,
            Err(_) => Decision::Now(ReplyAction::Deliver),
        }
    }

    fn on_session(&self, event: SessionEvent) {
        let _ = self.0.send(Signal::Session(event));
    }
}

/// Whether the step can go at any time without a difference to anybody else.
///
/// BEGIN is among these: it takes no snapshot and no lock, not even at the stricter isolation
/// levels, where the first statement after it does (`GetTransactionSnapshot`). So are settings of
/// the session, and the pings of connection pools.
fn touches_nothing_shared(step: &Step) -> bool {
    let is_harmless = |statement: &Statement| {
        let kind = kind_of(&statement.sql);
        match kind {
            Verb::Nothing | Verb::Begin | Verb::Setting | Verb::Savepoint => true,
            // Outside a transaction there is nothing to end.
            Verb::End => step.state_before == Some(TransactionState::Idle),
            Verb::Other => false,
        }
    };
    let is_known = step.state_before.is_some();
    match step.kind {
        // What a Flush left open ends with the next Sync, whatever comes with that.
        StepKind::Query | StepKind::Execute | StepKind::Prepare | StepKind::Sync if !is_known => {
            false
        }
        StepKind::Query | StepKind::Execute => {
            // A BEGIN before an END in one step is a whole transaction, which the END ends.
            let ends_what_it_began = step.statements.len() > 1
                && step
                    .statements
                    .iter()
                    .any(|statement| kind_of(&statement.sql) == Verb::End);
            !ends_what_it_began && step.statements.iter().all(is_harmless)
        }
        StepKind::Call => false,
        StepKind::Startup
        | StepKind::Prepare
        | StepKind::Sync
        | StepKind::Cancel
        | StepKind::Injected => true,
    }
}

/// What a statement is for, as far as control needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Nothing,
    Begin,
    Savepoint,
    Setting,
    End,
    Other,
}

/// The verb of a statement's text; a text with several statements is [`Verb::Other`].
pub(super) fn kind_of(sql: &str) -> Verb {
    let sql = sql.trim().trim_end_matches(';').trim_end();
    let mut words = sql.split_ascii_whitespace().map(str::to_ascii_lowercase);
    let first = words.next().unwrap_or_default();
    let second = words.next().unwrap_or_default();
    if sql.contains(';') {
        return Verb::Other;
    }
    match (first.as_str(), second.as_str()) {
        ("", _) | ("select", "1") => match sql.len() {
            0 | 8 => Verb::Nothing,
            _ => Verb::Other,
        },
        ("begin", _) | ("start", "transaction") => Verb::Begin,
        ("savepoint", _) | ("release", _) => Verb::Savepoint,
        ("set", "constraints") => Verb::Other,
        ("set" | "show" | "reset" | "deallocate", _) => Verb::Setting,
        ("rollback" | "abort", word)
            if word == "to" || sql.to_ascii_lowercase().contains(" to ") =>
        {
            Verb::Other
        }
        ("commit" | "end" | "rollback" | "abort", _) if second != "prepared" => Verb::End,
        _ => Verb::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_known_by_its_first_words() {
        for (sql, verb) in [
            ("", Verb::Nothing),
            ("SELECT 1", Verb::Nothing),
            ("select 1 from item", Verb::Other),
            ("BEGIN ISOLATION LEVEL READ COMMITTED", Verb::Begin),
            ("start transaction;", Verb::Begin),
            ("set lock_timeout = 5", Verb::Setting),
            ("commit", Verb::End),
            (" ROLLBACK ;", Verb::End),
            ("rollback to savepoint a", Verb::Other),
            ("begin; update item set stock = 0; commit", Verb::Other),
            ("commit prepared 'a'", Verb::Other),
        ] {
            assert_eq!(kind_of(sql), verb, "{sql}");
        }
    }
}
