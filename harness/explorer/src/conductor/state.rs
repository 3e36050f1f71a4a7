//! Where a run stands: its requests and their stages, the sessions that they use, who waits for
//! whom, and what their transactions have touched. No I/O.
//!
//! A step belongs to whoever could have sent it. A session inside a transaction
//! belongs to the request that began it; on any other session only a request whose application
//! code can run comes into question. SQL text decides nothing. What is not clear at once waits
//! until it is; what belongs to nobody is counted.

use rowlock_proxy::{SessionId, Step, TransactionState, Verb};

use super::requests::Requests;
use super::sessions::Sessions;
use super::stage::Stage;
use super::transactions::Transactions;
use super::wait_graph::WaitGraph;
use crate::control::Disabled;
use crate::footprint::Footprint;
use crate::footprints::Footprints;
use crate::schedule::RequestIndex;

/// Where a run stands.
#[derive(Debug)]
pub(super) struct RunState<A> {
    pub(super) requests: Requests<A>,
    pub(super) sessions: Sessions,
    pub(super) waits: WaitGraph,
    pub(super) transactions: Transactions,
    /// Requests that went on since the last choice.
    pub(super) moved: Vec<RequestIndex>,
    /// Whether a step ran of which nothing is known.
    pub(super) is_opaque: bool,
    /// Sessions that somebody uses, in the order in which they came, as long as it is not clear who.
    unclear: Vec<SessionId>,
}

/// Who sent a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// This request.
    Request(RequestIndex),
    /// That is not clear yet.
    Unclear,
    /// No request.
    Nobody,
}

impl<A> RunState<A> {
    /// A run of no request yet, on these sessions.
    pub(super) fn new(mut sessions: Sessions) -> Self {
        sessions.disown();
        RunState {
            requests: Requests::default(),
            sessions,
            waits: WaitGraph::default(),
            transactions: Transactions::default(),
            moved: Vec::new(),
            is_opaque: false,
            unclear: Vec::new(),
        }
    }

    /// Who sent this step; takes note of it.
    pub(super) fn attribute(&mut self, step: &Step) -> Sender {
        let id = step.id.session;
        let session = self.sessions.get(id);
        session.pid = step.pid.or(session.pid);
        if let Some(owner) = session.owner {
            return Sender::Request(owner);
        }
        if session.is_unclear {
            return Sender::Unclear;
        }
        if session.is_background {
            return Sender::Nobody;
        }
        let sender = self.candidate();
        match sender {
            Sender::Request(request) => self.own(id, request),
            Sender::Unclear => {
                self.sessions.get(id).is_unclear = true;
                self.unclear.push(id);
            }
            Sender::Nobody => {
                let session = self.sessions.get(id);
                session.is_background = !session.was_owned;
            }
        }
        sender
    }

    /// Who can have used a session that nobody has.
    fn candidate(&self) -> Sender {
        let running = self.requests.running();
        let stalled = self.requests.oldest_stalled();
        let free: Vec<_> = running
            .iter()
            .copied()
            .filter(|request| !self.sessions.is_in_transaction(*request))
            .collect();
        match (free.as_slice(), stalled, running.as_slice()) {
            ([one], None, _) => Sender::Request(*one),
            ([], Some(stalled), _) => Sender::Request(stalled),
            ([], None, [one]) => Sender::Request(*one),
            ([], None, []) => Sender::Nobody,
            _ => Sender::Unclear,
        }
    }

    /// Gives `session` to `request`, which is known to have used it, and so does not wait.
    fn own(&mut self, session: SessionId, request: RequestIndex) {
        let session = self.sessions.get(session);
        (session.owner, session.was_owned, session.is_unclear) = (Some(request), true, false);
        // Whoever did not wait has nothing to be woken from.
        let _ = self.requests.stage_mut(request).wake();
    }

    /// Keeps a held step until it is clear whose it is.
    pub(super) fn keep(&mut self, step: Step) {
        let session = self.sessions.get(step.id.session);
        session.unattributed = Some(Box::new(step));
    }

    /// Gives what is unclear to whom it can only belong now that no request with a free hand
    /// runs: to `fallback` if there is one, else to who stalled first. Says whose held step
    /// became clear.
    pub(super) fn attribute_unclear(
        &mut self,
        fallback: Option<RequestIndex>,
    ) -> Vec<(RequestIndex, Box<Step>)> {
        let mut attributed = Vec::new();
        while let Some(id) = self.unclear.first().copied() {
            let Some(request) = fallback.or_else(|| self.requests.oldest_stalled()) else {
                break;
            };
            self.unclear.remove(0);
            self.own(id, request);
            if let Some(step) = self.sessions.get(id).unattributed.take() {
                attributed.push((request, step));
            }
            if fallback.is_some() {
                break;
            }
        }
        attributed
    }

    /// Whether it is not clear of some session who uses it.
    pub(super) fn is_unclear(&self) -> bool {
        !self.unclear.is_empty()
    }

    /// What delivering the held step of `request` can touch, all that it can set free included.
    pub(super) fn pending(&self, request: RequestIndex, footprints: &mut Footprints) -> Footprint {
        let Some(step) = self.requests.stage(request).held() else {
            return Footprint::Everything;
        };
        let own = footprints.of(step);
        let mut statements = step.statements.iter();
        let is_end = statements.any(|statement| Verb::of(&statement.sql).ends_transaction());
        if !is_end && !may_be_whole(step) {
            return own;
        }
        own.union(&own.released())
            .union(&self.behind(request, footprints))
            .union(&self.transactions.end_of(request))
    }

    /// What the end of the transaction of `request` lets run: the steps that wait behind it, with
    /// their own transactions' ends where such a step is the whole of one.
    pub(super) fn behind(&self, request: RequestIndex, footprints: &mut Footprints) -> Footprint {
        let mut all = Footprint::NOTHING;
        for waiting in self.waits.behind(request) {
            let Some(step) = self.requests.stage(waiting).on_server() else {
                continue;
            };
            let own = footprints.of(step);
            if may_be_whole(step) {
                all = all.union(&own.released());
            }
            all = all.union(&own);
        }
        all
    }

    /// The requests whose steps were delivered and were not seen to wait.
    pub(super) fn fresh(&self) -> Vec<RequestIndex> {
        let mut fresh = self.requests.all_in(|stage| stage.on_server().is_some());
        fresh.retain(|request| self.waits.blockers(*request).is_none());
        fresh
    }

    /// Why `request` has no step to deliver, given that nothing moves.
    pub(super) fn why_disabled(&self, request: RequestIndex) -> Disabled {
        match self.requests.get(request).map(|request| &request.stage) {
            None => Disabled::NoSuchRequest,
            Some(Stage::Done) => Disabled::Answered,
            Some(Stage::Stalled { .. } | Stage::Running) => Disabled::Stalled,
            Some(Stage::Held(_) | Stage::Delivered(_) | Stage::Replied(..)) => {
                let by = self.waits.blockers(request).unwrap_or_default();
                Disabled::WaitsForLock(by.to_vec())
            }
        }
    }
}

/// Whether a step may end a transaction without saying so: one of its own, or one that a Flush
/// left open.
fn may_be_whole(step: &Step) -> bool {
    use TransactionState::{Failed, Open};
    !matches!(step.state_before, Some(Open | Failed))
}

#[cfg(test)]
mod tests {
    use rowlock_proxy::ReplyEnd;

    use super::super::sample;
    use super::*;

    const A: RequestIndex = RequestIndex(0);
    const B: RequestIndex = RequestIndex(1);

    /// A run of this many requests, all of them running.
    fn run(count: usize) -> RunState<()> {
        let mut state = RunState::new(Sessions::default());
        for _ in 0..count {
            state.requests.invoke();
        }
        state
    }

    /// A step on this session, the text of no importance.
    fn step(session: u64) -> Step {
        sample::step(session, 1, "select v from t")
    }

    fn begin(state: &mut RunState<()>, session: u64) {
        let reply = sample::reply_of(ReplyEnd::Ready(TransactionState::Open));
        state.sessions.settle(&step(session), &reply);
    }

    fn commit(state: &mut RunState<()>, session: u64) {
        let reply = sample::reply_of(ReplyEnd::Ready(TransactionState::Idle));
        state.sessions.settle(&step(session), &reply);
    }

    #[test]
    fn a_step_is_of_the_one_request_that_runs_and_in_its_transaction_stays_so() {
        let mut state = run(1);
        assert_eq!(state.attribute(&step(1)), Sender::Request(A));
        begin(&mut state, 1);
        state.requests.invoke();
        assert_eq!(state.attribute(&step(1)), Sender::Request(A));
        assert_eq!(state.attribute(&step(2)), Sender::Request(B));
        commit(&mut state, 1);
        assert_eq!(state.sessions.owner_of(101), None);
    }

    #[test]
    fn a_step_that_two_could_have_sent_is_whose_it_is_once_one_has_stalled() {
        let mut state = run(2);
        assert_eq!(state.attribute(&step(1)), Sender::Unclear);
        state.keep(step(1));
        assert_eq!(state.attribute(&step(1)), Sender::Unclear);
        assert_eq!(state.attribute_unclear(None), []);
        state.requests.stall(B);
        assert_eq!(
            state.attribute_unclear(None),
            [(B, Box::new(step(1)))],
            "it was not A, which still runs and may show another step"
        );
        assert_eq!(*state.requests.stage(B), Stage::Running);
        assert!(!state.is_unclear());
    }

    #[test]
    fn a_step_while_nobody_runs_is_of_who_stalled_first_or_of_nobody() {
        let mut state = run(2);
        state.requests.stall(B);
        state.requests.stall(A);
        assert_eq!(state.attribute(&step(1)), Sender::Request(B));
        let mut nobody = run(0);
        assert_eq!(nobody.attribute(&step(7)), Sender::Nobody);
        nobody.requests.invoke();
        assert_eq!(
            nobody.attribute(&step(7)),
            Sender::Nobody,
            "a job of the target's own keeps its session"
        );
    }

    #[test]
    fn the_end_of_a_transaction_touches_what_it_locked_and_whoever_waits_behind_it() {
        let mut state = run(2);
        let mut footprints = Footprints::default();
        let unknown = footprints.of(&step(1));
        assert_eq!(unknown, Footprint::Everything);
        let commit = Step {
            state_before: Some(TransactionState::Open),
            ..sample::step(1, 2, "commit")
        };
        let hold = |state: &mut RunState<()>, request, step| {
            assert!(
                state
                    .requests
                    .stage_mut(request)
                    .hold(Box::new(step))
                    .is_ok()
            );
        };
        hold(&mut state, A, commit);
        assert_eq!(state.pending(A, &mut footprints), Footprint::NOTHING);
        hold(&mut state, B, step(2));
        assert!(state.requests.stage_mut(B).deliver().is_ok());
        assert_eq!(state.waits.see(B, vec![A], |_| false), Ok(true));
        assert_eq!(state.pending(A, &mut footprints), Footprint::Everything);
        assert_eq!(state.why_disabled(B), Disabled::WaitsForLock(vec![A]));
    }
}
