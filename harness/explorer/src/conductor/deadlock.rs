//! Nothing is held and not all is done: deadlocks, waits inside the application, lost control.

use std::time::Instant;

use tokio::time::timeout;

use super::Failure;
use super::drive::Drive;
use crate::control::LostControl;
use crate::monitor::cycle;
use crate::schedule::RequestIndex;
use crate::transcript::Event;

impl<A: Send + 'static> Drive<'_, A> {
    /// Nothing is held: says whether the run goes on. Finds deadlocks, waits for whoever stalled.
    pub(super) async fn resolve(&mut self) -> Result<bool, Failure> {
        if !self.state.sessions.vanishing.is_empty() {
            self.wait_for_server().await?;
            self.hand_out(&[]).await?;
            return Ok(true);
        }
        let unanswered = self.state.requests.unanswered();
        let stalled = self.state.requests.stalled();
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
                self.wait_for_applications().await?;
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
            .filter_map(|pid| self.state.sessions.owner_of(*pid))
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
        self.state.waits.end(*victim);
        self.state.moved.clear();
        let deadline = Instant::now() + self.conductor.bounds.patience;
        while !self.state.requests.is_replied(*victim) {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.conductor.signals.recv()).await {
                Ok(Some(signal)) => self.take(signal)?,
                _ => return Err(LostControl::NotCancelled.into()),
            }
        }
        self.wait_for_server().await?;
        self.hand_out(&[]).await?;
        Ok(true)
    }
}
