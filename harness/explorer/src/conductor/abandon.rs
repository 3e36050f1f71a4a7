//! After control is lost: everything is let go, so that the next run finds the target at rest.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::timeout;

use super::drive::Drive;
use crate::signal::{Signal, SignallingGate};

impl<A: Send + 'static> Drive<'_, A> {
    /// Lets all that is held go, and waits for the answers.
    pub(super) async fn let_go(&mut self) {
        let deadline = Instant::now() + self.conductor.bounds.patience;
        self.conductor.proxy.set_gate(None);
        while !self.state.requests.are_answered() {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.conductor.signals.recv()).await {
                Ok(Some(Signal::Answered(request, answer))) => {
                    let place = self.execution.transcript.events.len();
                    if let Some(state) = self.state.requests.get_mut(request) {
                        (state.answer, state.done_at) = (Some(answer), place);
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
        self.state
            .sessions
            .forget_all_but(|id| open.iter().any(|session| session.id == id));
        let gate = SignallingGate(self.conductor.sender.clone());
        self.conductor.proxy.set_gate(Some(Arc::new(gate)));
    }
}
