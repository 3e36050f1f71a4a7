//! What each signal means for the run.

use super::Failure;
use super::run::Run;
use crate::explorer::cast::{Claim, Stage};
use crate::explorer::control::LostControl;
use crate::explorer::schedule::RequestIndex;
use crate::explorer::signal::{Signal, Verb, kind_of};
use crate::explorer::transcript::Event;
use crate::proxy::{Reply, ReplyAction, ReplyEnd, RequestAction, SessionEvent, Step};

impl<A: Send + 'static> Run<'_, A> {
    /// Takes note of what is there already; says if a reply was among it.
    pub(super) fn drain(&mut self) -> Result<bool, Failure> {
        let before = self.replies.len();
        while let Ok(signal) = self.conductor.signals.try_recv() {
            self.take(signal)?;
        }
        Ok(self.replies.len() > before)
    }

    pub(super) fn take(&mut self, signal: Signal<A>) -> Result<(), Failure> {
        if let Signal::Passed(step) | Signal::Held(step) = &signal {
            self.conductor.isolation.heed(step);
            self.conductor.heed_isolation();
        }
        match signal {
            Signal::Held(step) => match self.cast().claim(&step) {
                Claim::Of(request) => self.hold(request, Box::new(step))?,
                Claim::Open => self.cast().keep(step),
                Claim::Nobody => {
                    self.count(&step)?;
                    self.conductor
                        .proxy
                        .release_request(step.id, RequestAction::Deliver);
                }
            },
            Signal::Passed(step) => self.pass(&step)?,
            Signal::PassedReply(step, reply) => {
                let session = self.cast().session(step.id.session);
                session.is_passing = false;
                session.pid = step.pid.or(session.pid);
                self.cast().stand(&step, &reply);
            }
            Signal::Replied(step, reply) => self.take_reply(&step, reply)?,
            Signal::Session(event) => self.take_session(event)?,
            Signal::Answered(request, answer) => {
                let is_expected = self.conductor.cast.actors.len() > request.0;
                if is_expected {
                    self.answer(request, answer)?;
                }
            }
        }
        Ok(())
    }

    fn answer(&mut self, request: RequestIndex, answer: A) -> Result<(), Failure> {
        let actor = self.cast().actor(request);
        actor.answer = Some(answer);
        match &actor.stage {
            Stage::Stalled => {
                actor.stage = Stage::Running;
                self.moved.push(request);
            }
            // A transaction may be ended behind the answer's back.
            Stage::Running | Stage::Done => {}
            Stage::Held(step) | Stage::Delivered(step) => {
                let is_end = step.statements.iter().all(|s| kind_of(&s.sql) == Verb::End);
                if !is_end {
                    let step = text_of(step);
                    return Err(LostControl::AnsweredBefore { request, step }.into());
                }
            }
        }
        Ok(())
    }

    pub(super) fn hold(&mut self, request: RequestIndex, step: Box<Step>) -> Result<(), Failure> {
        let actor = self.cast().actor(request);
        match actor.stage {
            Stage::Running => {}
            Stage::Stalled => self.moved.push(request),
            Stage::Held(_) | Stage::Delivered(_) | Stage::Done => {
                let step = text_of(&step);
                return Err(LostControl::AnotherStep { request, step }.into());
            }
        }
        let text = text_of(&step);
        if self.uncontrolled.contains_key(&text) {
            let step = text;
            return Err(LostControl::RanUncontrolled { request, step }.into());
        }
        self.conductor.texts.insert(text);
        self.cast().actor(request).stage = Stage::Held(step);
        Ok(())
    }

    fn pass(&mut self, step: &Step) -> Result<(), Failure> {
        use crate::proxy::StepKind::{Execute, Query};
        if !matches!(step.kind, Query | Execute) {
            // Connecting, preparing and synchronizing say nothing about whose turn it is.
            self.cast().session(step.id.session).is_passing = true;
            return Ok(());
        }
        let begins = step
            .statements
            .iter()
            .any(|s| kind_of(&s.sql) == Verb::Begin);
        if !begins {
            self.cast().session(step.id.session).is_passing = true;
            return Ok(());
        }
        let claim = self.cast().claim(step);
        self.cast().session(step.id.session).is_passing = true;
        match claim {
            Claim::Of(request) => {
                self.moved.push(request);
                self.note(Event::Passed {
                    request,
                    statements: step.statements.clone(),
                });
            }
            Claim::Open => {}
            Claim::Nobody => self.pass_of_nobody(step),
        }
        Ok(())
    }

    fn take_reply(&mut self, step: &Step, reply: Reply) -> Result<(), Failure> {
        let actors = self.conductor.cast.actors.iter().enumerate();
        let of = actors.filter(|(_, actor)| match &actor.stage {
            Stage::Delivered(delivered) => delivered.id == step.id,
            _ => false,
        });
        match of.map(|(index, _)| RequestIndex(index)).next() {
            Some(request) if reply.end == ReplyEnd::Cut => {
                let step = text_of(step);
                Err(LostControl::Cut { request, step }.into())
            }
            Some(request) => {
                self.replies.insert(request, reply);
                Ok(())
            }
            None => {
                self.cast().stand(step, &reply);
                self.conductor
                    .proxy
                    .release_reply(step.id, ReplyAction::Deliver);
                Ok(())
            }
        }
    }

    fn take_session(&mut self, event: SessionEvent) -> Result<(), Failure> {
        match event {
            SessionEvent::Opened { session, pid } => {
                let session = self.cast().session(session);
                (session.pid, session.is_passing) = (pid, false);
            }
            SessionEvent::ClientGone { session, .. } => {
                let state = self.cast().session(session);
                state.is_passing = false;
                if let (Some(pid), Some(owner), true) =
                    (state.pid, state.owner, state.in_transaction)
                {
                    let is_under_way =
                        matches!(self.cast().actor(owner).stage, Stage::Delivered(_));
                    if is_under_way {
                        return Err(LostControl::GaveUp(owner).into());
                    }
                    self.vanishing.push(pid);
                    self.release(owner);
                }
            }
            SessionEvent::Closed { session, abandoned } => {
                let owner = self.cast().session(session).owner;
                self.cast().sessions.remove(&session);
                if let (Some(owner), Some(step)) = (owner, abandoned) {
                    let actor = self.cast().actor(owner);
                    if matches!(&actor.stage, Stage::Held(held) if held.id == step) {
                        actor.stage = Stage::Running;
                    }
                }
            }
        }
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
        *self.uncontrolled.entry(text_of(step)).or_default() += 1;
    }
}

fn text_of(step: &Step) -> String {
    let texts: Vec<_> = step.statements.iter().map(|s| s.sql.as_str()).collect();
    texts.join("; ")
}
