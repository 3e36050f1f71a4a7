//! The second client, who comes while the first one's step is held.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::Scene;
use super::strike::Pending;
use crate::environment::EnvironmentError;
use crate::fault::stories::Stories;

/// How long a rival may take until it stands in line, or has its answer.
const BOUND: Duration = Duration::from_secs(1);

/// How long it may take in a target of which it is known that its requests wait for one another
/// inside: behind a connection, a mutex or a batch that is under way.
const BOUND_INSIDE: Duration = Duration::from_millis(50);

/// How often the database is asked whether somebody waits for a lock.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

impl<S: Stories> Scene<'_, '_, S> {
    /// Lets the second client come, if there is one, and waits until it stands in line behind
    /// the first, or has its answer.
    ///
    /// Where it waits inside the target, neither is seen. That is learned once, by the whole of [`BOUND`]; from
    /// then on a rival has [`BOUND_INSIDE`], and one that is later than that comes after the fault.
    pub(super) async fn start_rival(&self) -> Result<Option<Pending<S>>, EnvironmentError> {
        let rival = self.place.stories().rival(self.case.story);
        let Some(rival) = rival.filter(|_| self.case.rival) else {
            return Ok(None);
        };
        let rival = self.start(1, rival).await?;
        let wait_inside = &self.place.rivals_wait_inside;
        let bound = match wait_inside.load(Ordering::Relaxed) {
            true => BOUND_INSIDE,
            false => BOUND,
        };
        let deadline = Instant::now() + bound;
        while rival.peek().is_none() && !self.place.inspector().waits_for_lock().await? {
            if Instant::now() >= deadline {
                wait_inside.store(true, Ordering::Relaxed);
                break;
            }
            let _ = timeout(POLL_INTERVAL, rival.clone()).await;
        }
        Ok(Some(rival))
    }
}
