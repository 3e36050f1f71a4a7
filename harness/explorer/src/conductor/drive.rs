//! One run: from choice to choice.
//!
//! What is known is in the [`RunState`], what ran is in the [`Execution`]; here is what is done.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rowlock_proxy::{Reply, ReplyAction, RequestAction, Step, StepId};
use tokio::sync::mpsc::UnboundedSender;

use super::state::RunState;
use super::{Conducted, Conductor, Failure};
use crate::control::LostControl;
use crate::execution::{Execution, Transition};
use crate::footprint::Footprint;
use crate::schedule::{Choice, RequestIndex};
use crate::signal::Signal;
use crate::strategy::{Chooser, Point};
use crate::transcript::Event;

/// One run.
pub(super) struct Drive<'c, A> {
    pub(super) conductor: &'c mut Conductor<A>,
    pub(super) state: RunState<A>,
    /// What ran so far.
    pub(super) execution: Execution,
    /// Whose each step was.
    pub(super) senders: HashMap<StepId, RequestIndex>,
    /// When each request was last given something to go on with.
    pub(super) since: HashMap<RequestIndex, Instant>,
    /// Since when the request's step is held that is held now.
    pub(super) held_since: HashMap<RequestIndex, Instant>,
    /// How long the request's steps were held before that.
    pub(super) held_for: HashMap<RequestIndex, Duration>,
}

impl<'c, A: Send + 'static> Drive<'c, A> {
    /// Takes the sessions from the conductor; [`Drive::end`] gives them back.
    pub(super) fn begin(conductor: &'c mut Conductor<A>) -> Self {
        let sessions = std::mem::take(&mut conductor.sessions);
        Drive {
            conductor,
            state: RunState::new(sessions),
            execution: Execution::default(),
            senders: HashMap::new(),
            since: HashMap::new(),
            held_since: HashMap::new(),
            held_for: HashMap::new(),
        }
    }

    /// What ran, and what it came to.
    pub(super) fn end(self) -> Conducted<A> {
        self.conductor.sessions = self.state.sessions;
        Conducted {
            execution: self.execution,
            answers: self.state.requests.into_answers(),
            senders: self.senders,
        }
    }

    /// Runs `count` requests until all are answered, and looks what they left.
    pub(super) async fn run_to_the_end(
        &mut self,
        count: usize,
        invoke: &mut impl FnMut(RequestIndex, UnboundedSender<Signal<A>>),
        chooser: &mut dyn Chooser,
    ) -> Result<(), Failure> {
        // What came since the last run is of no request.
        self.drain()?;
        self.perform(count, invoke, chooser).await?;
        self.execution.leftovers.locks = self.locks_left().await?;
        Ok(())
    }

    async fn perform(
        &mut self,
        count: usize,
        invoke: &mut impl FnMut(RequestIndex, UnboundedSender<Signal<A>>),
        chooser: &mut dyn Chooser,
    ) -> Result<(), Failure> {
        for _ in 0..count {
            let request = self.state.requests.invoke();
            self.note(Event::Invoked { request });
            self.since.insert(request, Instant::now());
            invoke(request, self.conductor.sender.clone());
            self.wait_for_applications().await?;
        }
        loop {
            let held = self.state.requests.held();
            if held.is_empty() {
                if !self.resolve().await? {
                    return Ok(());
                }
                continue;
            }
            let most = self.conductor.bounds.choices;
            if self.execution.transitions.len() >= most {
                return Err(LostControl::TooManyChoices(most).into());
            }
            let footprints = &mut self.conductor.footprints;
            let enabled: Vec<_> = held
                .iter()
                .map(|held| (*held, self.state.pending(*held, footprints)))
                .collect();
            let choice = chooser.choose(&Point {
                before: &self.execution.schedule.0,
                transitions: &self.execution.transitions,
                enabled: &enabled,
            });
            if let Some(request) = choice.requests().find(|request| !held.contains(request)) {
                return Err(LostControl::NotEnabled {
                    number: self.execution.schedule.0.len() + 1,
                    request,
                    because: self.state.why_disabled(request),
                }
                .into());
            }
            self.make(choice, enabled).await?;
        }
    }

    pub(super) fn note(&mut self, event: Event) {
        self.execution.transcript.events.push(event);
    }

    /// Delivers what was chosen, and brings everything that follows from it to rest.
    async fn make(
        &mut self,
        choice: Choice,
        enabled: Vec<(RequestIndex, Footprint)>,
    ) -> Result<(), Failure> {
        let mut touched = Footprint::NOTHING;
        for (request, footprint) in &enabled {
            if choice.requests().any(|chosen| chosen == *request) {
                touched = touched.union(footprint);
            }
        }
        self.state.is_opaque |= touched == Footprint::Everything;
        let first: Vec<_> = choice.requests().collect();
        self.state.moved.clone_from(&first);
        self.state.transactions.take_released();
        let mut behind = Footprint::NOTHING;
        for request in &first {
            let footprints = &mut self.conductor.footprints;
            behind = behind.union(&self.state.behind(*request, footprints));
        }
        let began = Instant::now();
        let delivered = match choice {
            Choice::Deliver(request) => {
                self.deliver(request);
                self.wait_for_server().await
            }
            Choice::Together(..) => self.deliver_together(&first).await,
        };
        self.conductor.spent.server += began.elapsed();
        delivered?;
        self.hand_out(&first).await?;
        while !self.state.sessions.vanishing.is_empty() {
            self.wait_for_server().await?;
            self.hand_out(&[]).await?;
        }
        // A statement that fails ends its transaction there and then, which nobody foresees.
        let released = self.state.transactions.take_released();
        if released != Footprint::NOTHING {
            touched = touched.union(&released).union(&behind);
        }
        let mut moved = std::mem::take(&mut self.state.moved);
        moved.sort_unstable();
        moved.dedup();
        self.execution.schedule.0.push(choice);
        self.execution.transitions.push(Transition {
            choice,
            enabled,
            touched,
            moved,
        });
        Ok(())
    }

    pub(super) fn deliver(&mut self, request: RequestIndex) {
        let delivered = self.state.requests.stage_mut(request).deliver();
        let step = delivered.expect("only held steps are chosen");
        let (id, statements) = (step.id, step.statements.clone());
        if let Some(since) = self.held_since.remove(&request) {
            *self.held_for.entry(request).or_default() += since.elapsed();
        }
        self.note(Event::Delivered {
            request,
            statements,
        });
        self.conductor.spent.steps += 1;
        // A session that is closed meanwhile says so itself.
        self.conductor
            .proxy
            .release_request(id, RequestAction::Deliver);
    }

    /// Hands out the replies that are there, those of `first` before the others.
    pub(super) async fn hand_out(&mut self, first: &[RequestIndex]) -> Result<(), Failure> {
        let mut order = self.state.requests.replied();
        order.sort_by_key(|request| {
            let place = first.iter().position(|other| other == request);
            (place.unwrap_or(first.len()), *request)
        });
        for request in order {
            let Ok((step, reply)) = self.state.requests.stage_mut(request).hand_out() else {
                continue;
            };
            self.apply(request, &step, &reply);
            self.note_limit(request, &reply);
            self.since.insert(request, Instant::now());
            self.note(Event::Replied { request, reply });
            self.conductor
                .proxy
                .release_reply(step.id, ReplyAction::Deliver);
            self.wait_for_applications().await?;
            if !self.state.sessions.is_in_transaction(request) {
                self.wait_for_company().await?;
            }
        }
        Ok(())
    }

    /// Takes note of what a reply that is handed out means for the request and its transaction.
    fn apply(&mut self, request: RequestIndex, step: &Step, reply: &Reply) {
        self.state.waits.end(request);
        self.state.moved.push(request);
        self.state.sessions.settle(step, reply);
        let own = self.conductor.footprints.of(step);
        self.state.transactions.touch(request, &own);
        let is_over = !self.state.sessions.is_in_transaction(request);
        if is_over {
            self.state.transactions.end(request);
        } else if reply.error.is_some() {
            self.state.transactions.release(request);
        }
    }
}
