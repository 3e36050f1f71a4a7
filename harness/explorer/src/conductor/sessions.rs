//! The target's connections: who uses each, and whether a transaction is open on it.
//!
//! A session inside a transaction belongs to the request that began it. What is known of sessions
//! outlives a run; who uses them does not.

use std::collections::BTreeMap;

use rowlock_proxy::{Reply, ReplyEnd, SessionId, Step, TransactionState, Verb};

use crate::schedule::RequestIndex;

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Its server process.
    pub(super) pid: Option<i32>,
    /// Who uses it.
    pub(super) owner: Option<RequestIndex>,
    pub(super) in_transaction: bool,
    /// A step that passed and is not answered.
    pub(super) is_passing: bool,
    /// A held step of which it is not clear yet whose it is.
    pub(super) unattributed: Option<Box<Step>>,
    /// Somebody uses it, and it is not clear yet who.
    pub(super) is_unclear: bool,
    /// It was used when no request could have, and by no request ever.
    pub(super) is_background: bool,
    /// A request has used it at some time.
    pub(super) was_owned: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: BTreeMap<SessionId, Session>,
    /// Server processes whose clients have gone inside a transaction.
    pub(super) vanishing: Vec<i32>,
}

impl Sessions {
    /// Forgets who uses them; what else is known stays.
    pub(super) fn disown(&mut self) {
        self.vanishing.clear();
        for session in self.all.values_mut() {
            (session.owner, session.is_unclear, session.unattributed) = (None, false, None);
        }
    }

    /// Forgets the sessions that are not open any more, and where the others stand.
    pub(super) fn forget_all_but(&mut self, is_open: impl Fn(SessionId) -> bool) {
        self.all.retain(|id, _| is_open(*id));
        for session in self.all.values_mut() {
            (session.is_passing, session.in_transaction) = (false, false);
        }
    }

    /// One of them, which need not have been known before.
    pub(super) fn get(&mut self, id: SessionId) -> &mut Session {
        self.all.entry(id).or_default()
    }

    /// It is closed.
    pub(super) fn remove(&mut self, id: SessionId) -> Option<Session> {
        self.all.remove(&id)
    }

    /// Whether `request` has a transaction open.
    pub(super) fn is_in_transaction(&self, request: RequestIndex) -> bool {
        let mut sessions = self.all.values();
        sessions.any(|session| session.owner == Some(request) && session.in_transaction)
    }

    /// Whether a step that passed is under way on one of them.
    pub(super) fn are_passing(&self) -> bool {
        self.all.values().any(|session| session.is_passing)
    }

    /// Takes note of where the session of `step` stands after `reply`; its owner keeps it only
    /// inside a transaction. Where the reply does not say it, it is in one if it may be.
    pub(super) fn settle(&mut self, step: &Step, reply: &Reply) {
        let session = self.get(step.id.session);
        let last = step.statements.last();
        let was_end = last.is_some_and(|last| Verb::of(&last.sql).leaves_transaction());
        session.in_transaction = match reply.end {
            ReplyEnd::Ready(state) => state != TransactionState::Idle,
            ReplyEnd::Flushed if was_end && reply.error.is_none() => false,
            ReplyEnd::Flushed if step.kind.runs() => true,
            ReplyEnd::Flushed | ReplyEnd::Skipped => session.in_transaction,
            ReplyEnd::Cut | ReplyEnd::NotSent | ReplyEnd::Unanswered => false,
        };
        if !session.in_transaction {
            session.owner = None;
        }
    }

    /// The server processes of the sessions that have an owner and are in a transaction.
    pub(super) fn pids_in_transaction(&self) -> Vec<i32> {
        let owned = |session: &&Session| session.owner.is_some() && session.in_transaction;
        let sessions = self.all.values().filter(owned);
        sessions.filter_map(|session| session.pid).collect()
    }

    /// The server processes of the sessions that a request has used.
    pub(super) fn pids_once_owned(&self) -> Vec<i32> {
        let sessions = self.all.values().filter(|session| session.was_owned);
        sessions.filter_map(|session| session.pid).collect()
    }

    /// The request that uses the server process `pid`.
    pub(super) fn owner_of(&self, pid: i32) -> Option<RequestIndex> {
        let mut sessions = self.all.values();
        sessions
            .find(|session| session.pid == Some(pid))
            .and_then(|session| session.owner)
    }
}
