//! After a reply is handed out: until no application code runs.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::Failure;
use super::drive::Drive;
use crate::control::LostControl;
use crate::schedule::RequestIndex;
use crate::transcript::Event;

/// How long an answer takes at the most that is on its way: a few times what a target takes to write
/// one, and a fraction of what is taken for silence.
const MOMENT: Duration = Duration::from_millis(20);

impl<A: Send + 'static> Drive<'_, A> {
    /// Waits until no request's application code runs: each holds its next step, is answered,
    /// or has shown nothing for so long that it must be waiting for something.
    pub(super) async fn wait_for_applications(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let waited = self.wait_until_no_code_runs().await;
        self.conductor.spent.application += began.elapsed();
        waited
    }

    /// After the end of a transaction: waits for the answers of those who have waited inside the
    /// application for it, since they share it. Nothing says who does; so whatever comes of
    /// anybody who waits inside is awaited for a moment.
    pub(super) async fn wait_for_company(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        while !self.state.requests.stalled().is_empty() {
            match timeout(MOMENT, self.conductor.signals.recv()).await {
                Ok(Some(signal)) => self.take(signal)?,
                Ok(None) => return Err(LostControl::GateGone.into()),
                Err(_)
                    if self.is_under_way() && began.elapsed() < self.conductor.bounds.patience => {}
                Err(_) => break,
            }
            self.wait_for_applications().await?;
        }
        Ok(())
    }

    async fn wait_until_no_code_runs(&mut self) -> Result<(), Failure> {
        let patience = self.conductor.bounds.patience;
        let mut silent = Duration::ZERO;
        loop {
            self.finish_answered();
            let running = self.state.requests.running();
            let Some(first) = running.first().copied() else {
                self.hold_attributed(None)?;
                if self.state.requests.running().is_empty() {
                    return Ok(());
                }
                continue;
            };
            let silence = self.conductor.bounds.silence;
            match timeout(silence, self.conductor.signals.recv()).await {
                Ok(Some(signal)) => {
                    silent = Duration::ZERO;
                    self.take(signal)?;
                }
                Ok(None) => return Err(LostControl::GateGone.into()),
                Err(_) if silent < patience && self.is_under_way() => silent += silence,
                Err(_) => self.give_up(first)?,
            }
        }
    }

    fn hold_attributed(&mut self, fallback: Option<RequestIndex>) -> Result<(), Failure> {
        for (request, step) in self.state.attribute_unclear(fallback) {
            self.hold(request, step)?;
        }
        Ok(())
    }

    /// Whether silence means nothing yet: the server is being asked, or the target computes.
    pub(super) fn is_under_way(&self) -> bool {
        self.state.sessions.are_passing() || (self.conductor.is_busy.0)()
    }

    /// Nothing came of a running request for a while: says why.
    fn give_up(&mut self, request: RequestIndex) -> Result<(), Failure> {
        if self.state.is_unclear() {
            return self.hold_attributed(Some(request));
        }
        if self.is_answered(request) {
            self.execution.leftovers.open_transactions.push(request);
            self.finish(request);
            return Ok(());
        }
        self.state.requests.stall(request);
        self.note(Event::Stalled { request });
        Ok(())
    }

    /// Those that are answered and whose transaction is over are done.
    fn finish_answered(&mut self) {
        for request in self.state.requests.running() {
            let is_over = !self.state.sessions.is_in_transaction(request);
            if is_over && self.is_answered(request) {
                self.finish(request);
            }
        }
    }

    fn is_answered(&self, request: RequestIndex) -> bool {
        let request = self.state.requests.get(request);
        request.is_some_and(|request| request.answer.is_some())
    }

    fn finish(&mut self, request: RequestIndex) {
        let place = self.execution.transcript.events.len();
        self.note(Event::Answered { request });
        self.state.requests.finish(request, place);
    }
}
