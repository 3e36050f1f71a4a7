//! What each signal means for the run.

use std::time::Instant;

use rowlock_proxy::{
    Reply, ReplyAction, ReplyEnd, RequestAction, SessionEvent, SessionId, Statement, Step,
    StepKind, Verb,
};

use super::Failure;
use super::drive::Drive;
use super::stage::Impossible;
use super::state::Sender;
use crate::control::LostControl;
use crate::execution::Limit;
use crate::schedule::RequestIndex;
use crate::signal::Signal;
use crate::transcript::Event;

impl<A: Send + 'static> Drive<'_, A> {
    /// Takes note of what is there already; says if a reply was among it.
    pub(super) fn drain(&mut self) -> Result<bool, Failure> {
        let before = self.state.requests.replied().len();
        while let Ok(signal) = self.conductor.signals.try_recv() {
            self.take(signal)?;
        }
        Ok(self.state.requests.replied().len() > before)
    }

    pub(super) fn take(&mut self, signal: Signal<A>) -> Result<(), Failure> {
        if let Signal::Passed(step) | Signal::Held(step) = &signal {
            self.conductor.isolation.heed(step);
            self.conductor.heed_isolation();
        }
        match signal {
            Signal::Held(step) if self.conductor.is_left_alone(&step) => {
                self.pass_of_nobody(&step);
                let deliver = RequestAction::Deliver;
                self.conductor.proxy.release_request(step.id, deliver);
                Ok(())
            }
            Signal::Held(step) => self.take_held(step),
            Signal::Passed(step) if self.conductor.is_left_alone(&step) => Ok(()),
            Signal::Passed(step) => {
                self.take_passed(&step);
                Ok(())
            }
            Signal::PassedReply(step, reply) => {
                let session = self.state.sessions.get(step.id.session);
                session.is_passing = false;
                session.pid = step.pid.or(session.pid);
                self.state.sessions.settle(&step, &reply);
                Ok(())
            }
            Signal::Replied(step, reply) => self.take_reply(&step, &reply),
            Signal::Session(event) => self.take_session(event),
            Signal::Answered(request, answer) => self.take_answer(request, answer),
        }
    }

    fn take_held(&mut self, step: Step) -> Result<(), Failure> {
        match self.state.attribute(&step) {
            Sender::Request(request) => self.hold(request, Box::new(step))?,
            Sender::Unclear => self.state.keep(step),
            Sender::Nobody => {
                self.count(&step)?;
                self.conductor
                    .proxy
                    .release_request(step.id, RequestAction::Deliver);
            }
        }
        Ok(())
    }

    fn take_answer(&mut self, request: RequestIndex, answer: A) -> Result<(), Failure> {
        // An answer may still come that an earlier run gave up.
        let Some(state) = self.state.requests.get_mut(request) else {
            return Ok(());
        };
        state.answer = Some(answer);
        self.note_silence(request);
        self.note_holding(request);
        let Some(state) = self.state.requests.get_mut(request) else {
            return Ok(());
        };
        if state.stage.wake().is_ok() {
            self.state.moved.push(request);
            return Ok(());
        }
        let step = state.stage.held().or(state.stage.on_server());
        // A transaction may be ended behind the answer's back.
        let ends = |statement: &Statement| Verb::of(&statement.sql).ends_transaction();
        let is_end = |step: &Step| step.statements.iter().all(ends);
        match step.filter(|step| !is_end(step)).map(text_of) {
            Some(step) => Err(LostControl::AnsweredBefore { request, step }.into()),
            None => Ok(()),
        }
    }

    pub(super) fn hold(&mut self, request: RequestIndex, step: Box<Step>) -> Result<(), Failure> {
        let text = text_of(&step);
        self.senders.insert(step.id, request);
        self.held_since.insert(request, Instant::now());
        match self.state.requests.stage_mut(request).hold(step) {
            Ok(true) => self.state.moved.push(request),
            Ok(false) => {}
            Err(Impossible) => {
                let step = text;
                return Err(LostControl::AnotherStep { request, step }.into());
            }
        }
        if self.execution.uncontrolled.contains_key(&text) {
            let step = text;
            return Err(LostControl::RanUncontrolled { request, step }.into());
        }
        self.conductor.texts.insert(text);
        Ok(())
    }

    fn take_passed(&mut self, step: &Step) {
        let is_begin = |statement: &Statement| Verb::of(&statement.sql) == Verb::Begin;
        let is_query = matches!(step.kind, StepKind::Query | StepKind::Execute);
        // All else, such as connecting and preparing, says nothing about whose turn it is.
        let sender = match is_query && step.statements.iter().any(is_begin) {
            true => self.state.attribute(step),
            false => Sender::Unclear,
        };
        let session = self.state.sessions.get(step.id.session);
        session.is_passing = true;
        if let Some(owner) = session.owner {
            self.senders.insert(step.id, owner);
        }
        match sender {
            Sender::Request(request) => {
                self.state.moved.push(request);
                self.note(Event::Passed {
                    request,
                    statements: step.statements.clone(),
                });
            }
            Sender::Unclear => {}
            Sender::Nobody => self.pass_of_nobody(step),
        }
    }

    fn take_reply(&mut self, step: &Step, reply: &Reply) -> Result<(), Failure> {
        let Some(request) = self.state.requests.reply(step.id, reply) else {
            self.state.sessions.settle(step, reply);
            self.conductor
                .proxy
                .release_reply(step.id, ReplyAction::Deliver);
            return Ok(());
        };
        match reply.end {
            ReplyEnd::Cut => {
                let step = text_of(step);
                Err(LostControl::Cut { request, step }.into())
            }
            _ => Ok(()),
        }
    }

    fn take_session(&mut self, event: SessionEvent) -> Result<(), Failure> {
        match event {
            SessionEvent::Opened { session, pid } => {
                let session = self.state.sessions.get(session);
                (session.pid, session.is_passing) = (pid, false);
                Ok(())
            }
            SessionEvent::ClientGone { session, .. } => self.take_client_gone(session),
            SessionEvent::Closed { session, abandoned } => {
                let closed = self.state.sessions.remove(session);
                let owner = closed.and_then(|session| session.owner);
                if let (Some(owner), Some(step)) = (owner, abandoned) {
                    // Whatever else was abandoned was not held, and its request goes on.
                    let withdrawn = self.state.requests.stage_mut(owner).withdraw(step);
                    if withdrawn.is_ok() {
                        self.execution.limits.push(Limit::Closed(owner));
                    }
                }
                Ok(())
            }
        }
    }

    fn take_client_gone(&mut self, session: SessionId) -> Result<(), Failure> {
        let session = self.state.sessions.get(session);
        session.is_passing = false;
        let (Some(pid), Some(owner), true) = (session.pid, session.owner, session.in_transaction)
        else {
            return Ok(());
        };
        if self.state.requests.stage(owner).on_server().is_some() {
            return Err(LostControl::GaveUp(owner).into());
        }
        self.state.sessions.vanishing.push(pid);
        self.state.transactions.release(owner);
        Ok(())
    }

    /// A step of nobody passes and is counted, unless requests run the same: then it may be
    /// theirs after all.
    fn count(&mut self, step: &Step) -> Result<(), Failure> {
        let text = text_of(step);
        if self.conductor.texts.contains(&text) {
            return Err(LostControl::NoSender(text).into());
        }
        self.pass_of_nobody(step);
        Ok(())
    }

    fn pass_of_nobody(&mut self, step: &Step) {
        let count = self.execution.uncontrolled.entry(text_of(step));
        *count.or_default() += 1;
    }
}

fn text_of(step: &Step) -> String {
    let texts: Vec<_> = step.statements.iter().map(|s| s.sql.as_str()).collect();
    texts.join("; ")
}
