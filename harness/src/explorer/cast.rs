//! The requests of a run and the sessions that they use: who is where, and whose step this is.
//!
//! The one idea: a step belongs to whoever could have sent it. A session inside a transaction
//! belongs to the request that began it; on any other session only a request whose application
//! code can run comes into question. SQL text decides nothing. What is not clear at once waits
//! until it is; what belongs to nobody is counted. No I/O here.

use std::collections::BTreeMap;

use super::schedule::RequestIndex;
use super::signal::{Verb, kind_of};
use crate::proxy::{Reply, ReplyEnd, SessionId, Step, TransactionState};

/// Where a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its application code may run.
    Running,
    /// Its next step is held.
    Held(Box<Step>),
    /// This step was delivered, and its reply has not been handed out.
    Delivered(Box<Step>),
    /// Its application code waits for something inside the application.
    Stalled,
    /// It is answered, and its transaction is over.
    Done,
}

/// One request.
#[derive(Debug)]
pub(super) struct Actor<A> {
    pub(super) stage: Stage,
    /// Its answer, and the place in the transcript where it was complete.
    pub(super) answer: Option<A>,
    pub(super) done_at: usize,
    /// When it stalled, counted over all requests; the first to wait is the first to go on.
    stalled: u64,
}

/// One connection of the target.
#[derive(Debug, Default)]
pub(super) struct SessionState {
    pub(super) pid: Option<i32>,
    pub(super) owner: Option<RequestIndex>,
    pub(super) in_transaction: bool,
    /// A step that passed and is not answered.
    pub(super) is_passing: bool,
    /// A held step of which it is not clear whose it is.
    held: Option<Box<Step>>,
    is_unclaimed: bool,
    /// It was used when no request could have, and by no request ever.
    is_background: bool,
    was_owned: bool,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Cast<A> {
    pub(super) actors: Vec<Actor<A>>,
    pub(super) sessions: BTreeMap<SessionId, SessionState>,
    stalls: u64,
    unclaimed: Vec<SessionId>,
}

/// Whose step it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// This request's.
    Of(RequestIndex),
    /// Not clear yet.
    Open,
    /// No request's.
    Nobody,
}

impl<A> Cast<A> {
    pub(super) fn new() -> Self {
        Cast {
            actors: Vec::new(),
            sessions: BTreeMap::new(),
            stalls: 0,
            unclaimed: Vec::new(),
        }
    }

    /// Starts a run of no request yet; what is known of the sessions stays.
    pub(super) fn clear(&mut self) {
        self.actors.clear();
        self.unclaimed.clear();
        for session in self.sessions.values_mut() {
            (session.owner, session.is_unclaimed, session.held) = (None, false, None);
        }
    }

    /// Forgets the sessions that are not open any more, and where the others stand.
    pub(super) fn forget_all_but(&mut self, is_open: impl Fn(SessionId) -> bool) {
        self.sessions.retain(|id, _| is_open(*id));
        for session in self.sessions.values_mut() {
            (session.is_passing, session.in_transaction) = (false, false);
        }
    }

    /// Takes in the next request, which runs from now on.
    pub(super) fn invoke(&mut self) -> RequestIndex {
        self.actors.push(Actor {
            stage: Stage::Running,
            answer: None,
            done_at: 0,
            stalled: 0,
        });
        RequestIndex(self.actors.len() - 1)
    }

    pub(super) fn actor(&mut self, request: RequestIndex) -> &mut Actor<A> {
        &mut self.actors[request.0]
    }

    /// The requests in a stage that `is` accepts, in ascending order.
    pub(super) fn all(&self, is: impl Fn(&Stage) -> bool) -> Vec<RequestIndex> {
        let actors = self.actors.iter().enumerate();
        actors
            .filter(|(_, actor)| is(&actor.stage))
            .map(|(index, _)| RequestIndex(index))
            .collect()
    }

    pub(super) fn running(&self) -> Vec<RequestIndex> {
        self.all(|stage| *stage == Stage::Running)
    }

    pub(super) fn stall(&mut self, request: RequestIndex) {
        self.stalls += 1;
        let stalled = self.stalls;
        let actor = self.actor(request);
        (actor.stage, actor.stalled) = (Stage::Stalled, stalled);
    }

    pub(super) fn is_in_transaction(&self, request: RequestIndex) -> bool {
        let mut sessions = self.sessions.values();
        sessions.any(|session| session.owner == Some(request) && session.in_transaction)
    }

    /// Whose step this is; takes note of it.
    pub(super) fn claim(&mut self, step: &Step) -> Claim {
        let id = step.id.session;
        let session = self.sessions.entry(id).or_default();
        session.pid = step.pid.or(session.pid);
        if let Some(owner) = session.owner {
            return Claim::Of(owner);
        }
        if session.is_unclaimed {
            return Claim::Open;
        }
        if session.is_background {
            return Claim::Nobody;
        }
        let claim = self.candidate();
        match claim {
            Claim::Of(request) => self.own(id, request),
            Claim::Open => {
                self.session(id).is_unclaimed = true;
                self.unclaimed.push(id);
            }
            Claim::Nobody => {
                let session = self.session(id);
                session.is_background = !session.was_owned;
            }
        }
        claim
    }

    /// Who can have used a session that nobody has.
    fn candidate(&self) -> Claim {
        let running = self.running();
        let stalled = self.oldest_stalled();
        let free: Vec<_> = running
            .iter()
            .copied()
            .filter(|request| !self.is_in_transaction(*request))
            .collect();
        match (free.as_slice(), stalled, running.as_slice()) {
            ([one], None, _) => Claim::Of(*one),
            ([], Some(stalled), _) => Claim::Of(stalled),
            ([], None, [one]) => Claim::Of(*one),
            ([], None, []) => Claim::Nobody,
            _ => Claim::Open,
        }
    }

    fn oldest_stalled(&self) -> Option<RequestIndex> {
        let stalled = self.all(|stage| *stage == Stage::Stalled).into_iter();
        stalled.min_by_key(|request| self.actors[request.0].stalled)
    }

    /// Gives `session` to `request`, which is known to have used it.
    pub(super) fn own(&mut self, session: SessionId, request: RequestIndex) {
        let session = self.session(session);
        (session.owner, session.was_owned, session.is_unclaimed) = (Some(request), true, false);
        if self.actor(request).stage == Stage::Stalled {
            self.actor(request).stage = Stage::Running;
        }
    }

    /// Keeps a held step until it is clear whose it is.
    pub(super) fn keep(&mut self, step: Step) {
        let session = self.session(step.id.session);
        session.held = Some(Box::new(step));
    }

    /// Gives what is unclaimed to whom it can only belong now that no request with a free hand
    /// runs: to `fallback` if there is one, else to who stalled first. Says whose held step
    /// became clear.
    pub(super) fn settle_claims(
        &mut self,
        fallback: Option<RequestIndex>,
    ) -> Vec<(RequestIndex, Box<Step>)> {
        let mut settled = Vec::new();
        while let Some(id) = self.unclaimed.first().copied() {
            let Some(request) = fallback.or_else(|| self.oldest_stalled()) else {
                break;
            };
            self.unclaimed.remove(0);
            self.own(id, request);
            if let Some(step) = self.session(id).held.take() {
                settled.push((request, step));
            }
            if fallback.is_some() {
                break;
            }
        }
        settled
    }

    pub(super) fn has_unclaimed(&self) -> bool {
        !self.unclaimed.is_empty()
    }

    /// Takes note of where a session stands; its owner keeps it only inside a transaction.
    /// Where the reply does not say it, it is in one if it may be.
    pub(super) fn stand(&mut self, step: &Step, reply: &Reply) {
        let session = self.session(step.id.session);
        let was_end = (step.statements.last()).is_some_and(|last| kind_of(&last.sql) == Verb::End);
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

    pub(super) fn session(&mut self, id: SessionId) -> &mut SessionState {
        self.sessions.entry(id).or_default()
    }

    /// The server processes of sessions that a request has used; only of those in a transaction
    /// where `is_open`.
    pub(super) fn pids(&self, is_open: bool) -> Vec<i32> {
        let sessions = self.sessions.values();
        let used = sessions.filter(|session| match is_open {
            true => session.owner.is_some() && session.in_transaction,
            false => session.was_owned,
        });
        used.filter_map(|session| session.pid).collect()
    }

    /// The request that uses the server process `pid`.
    pub(super) fn owner_of(&self, pid: i32) -> Option<RequestIndex> {
        let mut sessions = self.sessions.values();
        sessions
            .find(|session| session.pid == Some(pid))
            .and_then(|session| session.owner)
    }
}
