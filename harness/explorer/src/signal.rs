//! What the conductor hears: the gate's reports and the requests' answers, in one queue.
//!
//! The gate lets pass at once what touches nothing shared, and holds everything else, replies
//! included.

use std::fmt;

use rowlock_proxy::{
    Decision, Gate, Reply, ReplyAction, RequestAction, SessionEvent, Statement, Step, StepKind,
    TransactionState, Verb,
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
        let verb = Verb::of(&statement.sql);
        // Outside a transaction there is nothing to end.
        let is_vain = verb.ends_transaction() && step.state_before == Some(TransactionState::Idle);
        is_vain || is_of_its_session_alone(verb)
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
                    .any(|statement| Verb::of(&statement.sql).ends_transaction());
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

/// Whether what `verb` does is seen in its own session only.
pub(super) fn is_of_its_session_alone(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Nothing
            | Verb::Ping
            | Verb::Begin
            | Verb::Savepoint
            | Verb::Release
            | Verb::Set
            | Verb::Show
            | Verb::Deallocate
    )
}

#[cfg(test)]
mod tests {
    use rowlock_proxy::{SessionId, StepId};

    use super::*;

    fn touches_nothing(sql: &str, state: TransactionState) -> bool {
        touches_nothing_shared(&Step {
            id: StepId {
                session: SessionId(1),
                number: 1,
            },
            pid: None,
            transaction: 1,
            kind: StepKind::Query,
            state_before: Some(state),
            statements: vec![Statement {
                sql: sql.into(),
                parameters: Vec::new(),
            }],
        })
    }

    #[test]
    fn an_end_touches_nothing_outside_a_transaction() {
        for sql in [
            "commit",
            "ROLLBACK",
            "/* pool */ rollback",
            "commit and chain",
        ] {
            assert!(touches_nothing(sql, TransactionState::Idle), "{sql}");
            assert!(!touches_nothing(sql, TransactionState::Open), "{sql}");
        }
    }

    #[test]
    fn what_gives_locks_back_or_checks_constraints_is_shared() {
        for sql in [
            "rollback to savepoint a",
            "rollback transaction to a",
            "set constraints all immediate",
            "prepare transaction 'a'",
            "commit prepared 'a'",
            "discard all",
        ] {
            assert!(!touches_nothing(sql, TransactionState::Open), "{sql}");
        }
        assert!(touches_nothing("savepoint a", TransactionState::Open));
    }
}
