//! After a reply is handed out: until no application code runs.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::Failure;
use super::run::Run;
use crate::explorer::cast::Stage;
use crate::explorer::control::LostControl;
use crate::explorer::schedule::RequestIndex;
use crate::explorer::transcript::Event;

impl<A: Send + 'static> Run<'_, A> {
    /// Waits until no request's application code runs: each holds its next step, is answered,
    /// or has shown nothing for so long that it must be waiting for something.
    pub(super) async fn settle(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let settled = self.wait_for_applications().await;
        self.conductor.spent.application += began.elapsed();
        settled
    }

    async fn wait_for_applications(&mut self) -> Result<(), Failure> {
        let patience = self.conductor.bounds.patience;
        let mut silent = Duration::ZERO;
        loop {
            self.finish_answered();
            let running = self.cast().running();
            if running.is_empty() {
                for (request, step) in self.conductor.cast.settle_claims(None) {
                    self.hold(request, step)?;
                }
                if self.cast().running().is_empty() {
                    return Ok(());
                }
                continue;
            }
            let silence = self.conductor.bounds.silence;
            match timeout(silence, self.conductor.signals.recv()).await {
                Ok(Some(signal)) => {
                    silent = Duration::ZERO;
                    self.take(signal)?;
                }
                Ok(None) => return Err(LostControl::GateGone.into()),
                Err(_) if silent < patience && self.is_under_way() => silent += silence,
                Err(_) => self.give_up(running[0])?,
            }
        }
    }

    /// Whether silence means nothing yet: the server is being asked, or the target computes.
    pub(super) fn is_under_way(&self) -> bool {
        let mut sessions = self.conductor.cast.sessions.values();
        sessions.any(|session| session.is_passing) || (self.conductor.is_busy.0)()
    }

    /// Nothing came of a running request for a while: says why.
    fn give_up(&mut self, request: RequestIndex) -> Result<(), Failure> {
        if self.cast().has_unclaimed() {
            for (request, step) in self.conductor.cast.settle_claims(Some(request)) {
                self.hold(request, step)?;
            }
            return Ok(());
        }
        if self.cast().actor(request).answer.is_some() {
            self.left_open.push(request);
            self.finish(request);
            return Ok(());
        }
        self.cast().stall(request);
        self.note(Event::Stalled { request });
        Ok(())
    }

    pub(super) fn finish_answered(&mut self) {
        for request in self.cast().running() {
            let is_over = !self.cast().is_in_transaction(request);
            if is_over && self.cast().actor(request).answer.is_some() {
                self.finish(request);
            }
        }
    }

    fn finish(&mut self, request: RequestIndex) {
        self.note(Event::Answered { request });
        let place = self.transcript.events.len() - 1;
        let actor = self.cast().actor(request);
        (actor.stage, actor.done_at) = (Stage::Done, place);
    }
}
