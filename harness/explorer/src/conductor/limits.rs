//! Limits that a target brings, and that our holding of steps may meet: a time for a lock, for a
//! transaction that lies idle, for a connection out of a pool.
//!
//! Whether one was met is for whoever knows the answers; here is said what may have been.

use std::time::{Duration, Instant};

use rowlock_proxy::Reply;

use super::drive::Drive;
use super::stage::Stage;
use crate::execution::Limit;
use crate::schedule::RequestIndex;
use crate::transcript::Event;

/// What is shorter is no holding.
const SHORT: Duration = Duration::from_millis(50);

/// What lasts no longer than this altogether lets nothing expire: lives are counted in seconds.
const MOMENT: Duration = Duration::from_secs(1);

impl<A: Send + 'static> Drive<'_, A> {
    /// Takes note of a statement that PostgreSQL gave up while it waited for another request, and of
    /// a session that it ended because that lay idle.
    pub(super) fn note_limit(&mut self, request: RequestIndex, reply: &Reply) {
        let Some(error) = &reply.error else { return };
        let is_limit = match error.sqlstate.as_str() {
            // NOWAIT has the same code, and waits for nobody.
            "55P03" => self.has_waited(request),
            // To break a deadlock we cancel a statement ourselves.
            "57014" => self.has_waited(request) && self.execution.deadlock().is_none(),
            "25P03" | "25P04" | "57P05" => true,
            _ => false,
        };
        if is_limit {
            let (sqlstate, message) = (error.sqlstate.clone(), error.message.clone());
            self.execution.limits.push(Limit::GivenUp {
                request,
                sqlstate,
                message,
            });
        }
    }

    /// Whether the step that `request` has just had answered waited for a lock.
    fn has_waited(&self, request: RequestIndex) -> bool {
        let of_request = |event: &&Event| event.request() == Some(request);
        let mut events = self
            .execution
            .transcript
            .events
            .iter()
            .rev()
            .filter(of_request);
        matches!(events.next(), Some(Event::Waits { .. }))
    }

    /// Takes note of an answer that came while a step of another request was held or waited, and long
    /// after the request was given anything to go on with.
    pub(super) fn note_silence(&mut self, request: RequestIndex) {
        let Some(since) = self.since.get(&request) else {
            return;
        };
        let after = Instant::now().duration_since(*since);
        let is_held = |stage: &Stage| matches!(stage, Stage::Held(_) | Stage::Delivered(_));
        let held = self.state.requests.all_in(is_held);
        if after >= SHORT && held.iter().any(|other| *other != request) {
            self.execution.limits.push(Limit::Silent { request, after });
        }
    }

    /// Takes note of an answer to a request whose own steps were held for so long that what it had in
    /// its hands, such as a login, may have expired.
    pub(super) fn note_holding(&mut self, request: RequestIndex) {
        let altogether = self.held_for.get(&request).copied().unwrap_or_default();
        if altogether >= MOMENT {
            let held = Limit::Held {
                request,
                altogether,
            };
            self.execution.limits.push(held);
        }
    }
}
