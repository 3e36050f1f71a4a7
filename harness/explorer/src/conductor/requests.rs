//! The requests of a run: which stage each is in, and what it was answered.

use rowlock_proxy::{Reply, StepId};

use super::stage::Stage;
use crate::schedule::RequestIndex;

/// One request.
#[derive(Debug)]
pub(super) struct RequestState<A> {
    pub(super) stage: Stage,
    /// Its answer.
    pub(super) answer: Option<A>,
    /// The place in the transcript where it was done.
    pub(super) done_at: usize,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Requests<A> {
    all: Vec<RequestState<A>>,
    /// How many times a request stalled.
    stalls: u64,
}

impl<A> Default for Requests<A> {
    fn default() -> Self {
        Requests {
            all: Vec::new(),
            stalls: 0,
        }
    }
}

impl<A> Requests<A> {
    /// Takes in the next request, which runs from now on.
    pub(super) fn invoke(&mut self) -> RequestIndex {
        self.all.push(RequestState {
            stage: Stage::Running,
            answer: None,
            done_at: 0,
        });
        RequestIndex(self.all.len() - 1)
    }

    /// One of them; nothing where there is none of this number.
    pub(super) fn get(&self, request: RequestIndex) -> Option<&RequestState<A>> {
        self.all.get(request.0)
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, request: RequestIndex) -> Option<&mut RequestState<A>> {
        self.all.get_mut(request.0)
    }

    /// The stage of a request that was invoked.
    pub(super) fn stage(&self, request: RequestIndex) -> &Stage {
        &self.all[request.0].stage
    }

    /// The same, to change it.
    pub(super) fn stage_mut(&mut self, request: RequestIndex) -> &mut Stage {
        &mut self.all[request.0].stage
    }

    /// The requests in a stage that `is` accepts, in ascending order.
    pub(super) fn all_in(&self, is: impl Fn(&Stage) -> bool) -> Vec<RequestIndex> {
        let requests = self.all.iter().enumerate();
        requests
            .filter(|(_, request)| is(&request.stage))
            .map(|(index, _)| RequestIndex(index))
            .collect()
    }

    /// Those whose application code may run.
    pub(super) fn running(&self) -> Vec<RequestIndex> {
        self.all_in(|stage| *stage == Stage::Running)
    }

    /// Those whose next step is held.
    pub(super) fn held(&self) -> Vec<RequestIndex> {
        self.all_in(|stage| matches!(stage, Stage::Held(_)))
    }

    /// Those that wait inside the application.
    pub(super) fn stalled(&self) -> Vec<RequestIndex> {
        self.all_in(|stage| matches!(stage, Stage::Stalled { .. }))
    }

    /// Those whose reply is there and not handed out.
    pub(super) fn replied(&self) -> Vec<RequestIndex> {
        self.all_in(|stage| matches!(stage, Stage::Replied(..)))
    }

    /// Whether the reply to the step of `request` is there and not handed out.
    pub(super) fn is_replied(&self, request: RequestIndex) -> bool {
        matches!(self.stage(request), Stage::Replied(..))
    }

    /// Those with a delivered step that has no reply, and their server processes.
    pub(super) fn unanswered(&self) -> Vec<(RequestIndex, i32)> {
        let requests = self.all.iter().enumerate();
        let unanswered = requests.filter_map(|(index, request)| match &request.stage {
            Stage::Delivered(step) => Some((RequestIndex(index), step.pid?)),
            _ => None,
        });
        unanswered.collect()
    }

    /// The reply to `step` is there; says whose step it is, if it is a delivered one.
    pub(super) fn reply(&mut self, step: StepId, reply: &Reply) -> Option<RequestIndex> {
        let is_it = |stage: &Stage| matches!(stage, Stage::Delivered(on) if on.id == step);
        let request = self.all_in(is_it).first().copied()?;
        let replied = self.stage_mut(request).reply(step, reply.clone());
        replied.is_ok().then_some(request)
    }

    /// A request that runs waits for something inside the application.
    pub(super) fn stall(&mut self, request: RequestIndex) {
        self.stalls += 1;
        let turn = self.stalls;
        let stalled = self.stage_mut(request).stall(turn);
        stalled.expect("only a request that runs shows nothing");
    }

    /// A request that runs is answered, and its transaction over; `place` is where the transcript
    /// says it.
    pub(super) fn finish(&mut self, request: RequestIndex, place: usize) {
        let finished = self.stage_mut(request).finish();
        finished.expect("only a request that runs can be done");
        self.all[request.0].done_at = place;
    }

    /// The request that stalled first.
    pub(super) fn oldest_stalled(&self) -> Option<RequestIndex> {
        self.stalled()
            .into_iter()
            .min_by_key(|request| match self.stage(*request) {
                Stage::Stalled { turn } => *turn,
                _ => u64::MAX,
            })
    }

    /// Whether every request is answered.
    pub(super) fn are_answered(&self) -> bool {
        self.all.iter().all(|request| request.answer.is_some())
    }

    /// Each request's answer and its place in the transcript.
    pub(super) fn into_answers(self) -> Vec<Option<(A, usize)>> {
        let all = self.all.into_iter();
        all.map(|request| Some((request.answer?, request.done_at)))
            .collect()
    }
}
