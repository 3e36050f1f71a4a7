//! After the last answer: what the requests' sessions still hold.
//!
//! PostgreSQL takes locks on rows and tables back at the end of each transaction,
//! and the protocol says when that is. So it is asked only where a transaction was left open, or
//! where a statement ran of which nothing is known: it may have locked for the whole session.

use std::time::Instant;

use tokio::time::timeout;

use super::Failure;
use super::drive::Drive;

impl<A: Send + 'static> Drive<'_, A> {
    /// The locks that are left, in words. A request that is answered may still be about to give
    /// some back, so none is told of before the target has nothing to do any more.
    pub(super) async fn locks_left(&mut self) -> Result<Vec<String>, Failure> {
        let is_left_open = !self.execution.leftovers.open_transactions.is_empty();
        if !is_left_open && !self.state.is_opaque {
            return Ok(Vec::new());
        }
        let bounds = self.conductor.bounds;
        let deadline = Instant::now() + bounds.patience;
        let mut is_at_rest = false;
        loop {
            let pids = match is_left_open {
                true => self.state.sessions.pids_in_transaction(),
                false => self.state.sessions.pids_once_owned(),
            };
            let locks = self.conductor.monitor.locks(&pids).await?;
            if locks.is_empty() || is_at_rest {
                return Ok(locks);
            }
            match timeout(bounds.silence, self.conductor.signals.recv()).await {
                Ok(Some(signal)) => self.take(signal)?,
                _ => is_at_rest = !self.is_under_way(),
            }
            is_at_rest |= Instant::now() > deadline;
        }
    }
}
