//! The gate: where a scheduler decides, step by step, what reaches the server and what comes back.
//!
//! A gate answers at once, with an action or with "hold"; what is held waits in the
//! proxy, whole, until [`Control`](super::Control) releases it. Under a gate a session has one
//! step under way at a time; a pipeline behind it waits its turn. Steps that a gate delivers at
//! once are still buffered whole first. Without a gate nothing waits and nothing is buffered.
//!
//! Replies to start-up pass unheld, since authentication is a conversation. COPY data passes
//! unheld too, in both directions of a COPY FROM; the reply's end is held.

use std::fmt;

use tokio::sync::mpsc;

use super::step::{Reply, SessionId, Step, StepId};

/// Decides about steps. Called on the connection's own task, so it must answer without waiting.
pub trait Gate: Send + Sync {
    /// A whole step came from the target.
    fn on_request(&self, step: &Step) -> Decision<RequestAction>;

    /// The reply to a step that went through the gate is complete.
    fn on_reply(&self, step: &Step, reply: &Reply) -> Decision<ReplyAction>;

    /// A session opened, lost its client or closed.
    fn on_session(&self, event: SessionEvent) {
        let _ = event;
    }
}

/// What a gate says about a step or a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<A> {
    /// Do this now.
    Now(A),
    /// Keep it until it is released.
    Hold,
}

/// What to do with a step that came from the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestAction {
    /// Send it.
    Deliver,
    /// Close both connections; the server never sees it.
    Drop,
    /// Send this statement in its place, and its reply as the step's.
    ///
    /// The reply has the form that a simple Query gets, so the statement must fail: an error and
    /// ReadyForQuery are what any step may be answered with. A step cut with Flush, and a
    /// start-up, cannot be replaced so; they are dropped.
    Replace(String),
    /// Roll the transaction back, and nobody hears of it; then as [`Replace`](Self::Replace).
    RollBackAndReplace(String),
    /// Run this statement in the same session first, its reply given to nobody; then send it.
    ///
    /// A simple Query ends the unnamed prepared statement, should the step have relied on one
    /// from an earlier step.
    Precede(String),
}

impl RequestAction {
    /// Lets the server itself fail the step with this SQLSTATE, so that the transaction really
    /// is aborted.
    ///
    /// # Panics
    /// If `sqlstate` is not five digits or capital letters.
    pub fn fail(sqlstate: &str) -> Self {
        Self::Replace(raise(sqlstate))
    }

    /// Lets the server fail a COMMIT or ROLLBACK with this SQLSTATE: unlike after any other
    /// statement, the transaction is over then (`TBLOCK_END` and `TBLOCK_ABORT_PENDING` in
    /// PostgreSQL's `AbortCurrentTransaction`).
    ///
    /// # Panics
    /// If `sqlstate` is not five digits or capital letters.
    pub fn fail_end(sqlstate: &str) -> Self {
        Self::RollBackAndReplace(raise(sqlstate))
    }
}

fn raise(sqlstate: &str) -> String {
    let is_valid = |c: u8| c.is_ascii_digit() || c.is_ascii_uppercase();
    assert!(
        sqlstate.len() == 5 && sqlstate.bytes().all(is_valid),
        "sqlstate {sqlstate:?} is not five digits or capital letters"
    );
    format!("do $$ begin raise exception 'injected fault' using errcode = '{sqlstate}'; end $$")
}

/// What to do with a reply that came from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyAction {
    /// Give it to the target.
    Deliver,
    /// Close both connections; the target never sees it.
    Drop,
}

/// What happens to a session as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEvent {
    /// The server has let it in.
    Opened {
        /// The session.
        session: SessionId,
        /// Its server process.
        pid: Option<i32>,
    },
    /// The target hung up.
    ClientGone {
        /// The session.
        session: SessionId,
        /// The step that was held or under way at that moment.
        step: Option<StepId>,
    },
    /// Both connections are closed.
    Closed {
        /// The session.
        session: SessionId,
        /// The step that was held, its request or its reply, and now never goes.
        abandoned: Option<StepId>,
    },
}

/// What a [`channel`] gate tells its scheduler, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This step is held until its request is released.
    Request(Step),
    /// This step was not held, and neither is its reply.
    Passed(Step),
    /// The reply to this step is held until it is released.
    Reply(Step, Reply),
    /// Something happened to a session.
    Session(SessionEvent),
}

/// A gate that holds the steps that `holds` picks, and their replies, and reports to a channel.
///
/// When the receiver is dropped the gate holds nothing any more; what it held before stays held.
pub fn channel(
    holds: impl Fn(&Step) -> bool + Send + Sync + 'static,
) -> (ChannelGate, mpsc::UnboundedReceiver<Event>) {
    let (events, receiver) = mpsc::unbounded_channel();
    (
        ChannelGate {
            holds: Box::new(holds),
            events,
        },
        receiver,
    )
}

/// The gate of [`channel`].
pub struct ChannelGate {
    holds: Box<dyn Fn(&Step) -> bool + Send + Sync>,
    events: mpsc::UnboundedSender<Event>,
}

impl fmt::Debug for ChannelGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelGate").finish_non_exhaustive()
    }
}

impl Gate for ChannelGate {
    fn on_request(&self, step: &Step) -> Decision<RequestAction> {
        if !(self.holds)(step) {
            // A scheduler that is gone has no use for the event.
            let _ = self.events.send(Event::Passed(step.clone()));
            return Decision::Now(RequestAction::Deliver);
        }
        match self.events.send(Event::Request(step.clone())) {
            Ok(()) => Decision::Hold,
            Err(_) => Decision::Now(RequestAction::Deliver),
        }
    }

    fn on_reply(&self, step: &Step, reply: &Reply) -> Decision<ReplyAction> {
        if !(self.holds)(step) {
            return Decision::Now(ReplyAction::Deliver);
        }
        match self.events.send(Event::Reply(step.clone(), reply.clone())) {
            Ok(()) => Decision::Hold,
            Err(_) => Decision::Now(ReplyAction::Deliver),
        }
    }

    fn on_session(&self, event: SessionEvent) {
        let _ = self.events.send(Event::Session(event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_injected_fault_names_its_sqlstate() {
        let RequestAction::Replace(sql) = RequestAction::fail("40P01") else {
            panic!("a fault replaces the step");
        };
        assert!(sql.contains("errcode = '40P01'"), "{sql}");
    }

    #[test]
    #[should_panic(expected = "is not five digits or capital letters")]
    fn an_sqlstate_cannot_carry_sql() {
        RequestAction::fail("1'; x");
    }
}
