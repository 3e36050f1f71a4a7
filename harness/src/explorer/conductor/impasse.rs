//! Nothing is held and not all is done: deadlocks, waits inside the application, lost control.

use std::time::Instant;

use tokio::time::timeout;

use super::Failure;
use super::run::Run;
use crate::explorer::cast::Stage;
use crate::explorer::control::LostControl;
use crate::explorer::monitor::cycle;
use crate::explorer::schedule::RequestIndex;
use crate::explorer::signal::{Signal, SignallingGate};
use crate::explorer::transcript::Event;

impl<A: Send + 'static> Run<'_, A> {
    /// Nothing is held: says whether the run goes on. Finds deadlocks, waits for whoever stalled.
    pub(super) async fn resolve(&mut self) -> Result<bool, Failure> {
        if !self.vanishing.is_empty() {
            self.wait_for_quiet().await?;
            self.hand_out(&[]).await?;
            return Ok(true);
        }
        let unanswered = self.unanswered();
        let stalled = self.cast().all(|stage| *stage == Stage::Stalled);
        if !unanswered.is_empty() && self.break_deadlock(&unanswered).await? {
            return Ok(true);
        }
        if stalled.is_empty() {
            return match unanswered.is_empty() {
                true => Ok(false),
                false => Err(LostControl::AllWait.into()),
            };
        }
        let patience = self.conductor.bounds.patience;
        match timeout(patience, self.conductor.signals.recv()).await {
            Ok(Some(signal)) => {
                self.take(signal)?;
                self.settle().await?;
                self.hand_out(&[]).await?;
                Ok(true)
            }
            _ => Err(LostControl::Silent(patience, stalled).into()),
        }
    }

    /// Finds a circle among those who wait, and breaks it; says if there was one.
    async fn break_deadlock(
        &mut self,
        unanswered: &[(RequestIndex, i32)],
    ) -> Result<bool, Failure> {
        let pids: Vec<_> = unanswered.iter().map(|(_, pid)| *pid).collect();
        let blockers = self.conductor.monitor.blockers(&pids).await?;
        let Some(circle) = cycle(&blockers) else {
            return Ok(false);
        };
        let mut requests: Vec<_> = circle
            .iter()
            .filter_map(|pid| self.conductor.cast.owner_of(*pid))
            .collect();
        let first = (0..requests.len()).min_by_key(|at| requests[*at]);
        requests.rotate_left(first.unwrap_or(0));
        self.note(Event::Deadlocked {
            cycle: requests.clone(),
        });
        let victim = requests.last().copied();
        let pid = unanswered
            .iter()
            .find(|(request, _)| Some(*request) == victim);
        let Some((victim, pid)) = pid else {
            return Err(LostControl::ForeignDeadlock.into());
        };
        self.conductor.monitor.cancel(*pid).await?;
        self.waits.remove(victim);
        self.moved.clear();
        let deadline = Instant::now() + self.conductor.bounds.patience;
        while !self.replies.contains_key(victim) {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.conductor.signals.recv()).await {
                Ok(Some(signal)) => self.take(signal)?,
                _ => return Err(LostControl::NotCancelled.into()),
            }
        }
        self.wait_for_quiet().await?;
        self.hand_out(&[]).await?;
        Ok(true)
    }

    /// Lets all that is held go, and waits for the answers, so that the next run finds the
    /// target at rest.
    pub(super) async fn let_go(&mut self) {
        let deadline = Instant::now() + self.conductor.bounds.patience;
        self.conductor.proxy.set_gate(None);
        let is_answered =
            |run: &Self| (run.conductor.cast.actors.iter()).all(|actor| actor.answer.is_some());
        while !is_answered(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.conductor.signals.recv()).await {
                Ok(Some(Signal::Answered(request, answer))) => {
                    let place = self.transcript.events.len();
                    if let Some(actor) = self.conductor.cast.actors.get_mut(request.0) {
                        (actor.answer, actor.done_at) = (Some(answer), place);
                    }
                }
                Ok(Some(_)) => {}
                _ => break,
            }
        }
        // Whatever was on its way belongs to this run; how the sessions stand is known anew with
        // what they do next.
        while self.conductor.signals.try_recv().is_ok() {}
        let open = self.conductor.proxy.sessions();
        self.cast()
            .forget_all_but(|id| open.iter().any(|session| session.id == id));
        let gate = SignallingGate(self.conductor.sender.clone());
        self.conductor
            .proxy
            .set_gate(Some(std::sync::Arc::new(gate)));
    }
}
