//! Who shares a batch with whom: jobs of one key that wait together are done together.
//!
//! ```text
//!   a job arrives            its key's queue                     the one who leads the key
//!  ┌─────────────┐   join   ┌───────────────────┐   next_batch  ┌──────────────────────────┐
//!  │ (key, job)  │ ───────▶ │ j5 j4 │ j3 j2 j1  │ ────────────▶ │ does j1 j2 j3, and comes │
//!  └─────────────┘          └───────────────────┘               │ again for j4 j5 …        │
//!        │ Lead, if nobody leads the key yet: ────────────────▶ │ until nobody waits       │
//!        ▼ whoever gets it must lead                            └──────────────────────────┘
//! ```
//!
//! A batch is whoever came while the one before was under way, at most [`Combiner::new`]'s
//! number, in the order of arrival; nothing waits for a batch to fill. A key has at most one
//! [`Lead`] at a time, so that its batches never overlap, and each job is in exactly one of them.
//! Keys know nothing of each other.
//!
//! Jobs bring along whatever their senders wait for. One whose sender has left is done like any
//! other, and if a leader is dropped before its time, the jobs that waited for it are dropped,
//! which their senders see. The crate knows no I/O, no clock and no runtime; its blocking is that
//! of a mutex, held for a few instructions.

mod sync;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;

use sync::{Arc, Mutex, MutexGuard};

/// Gathers jobs by their keys. Clones share the same jobs.
pub struct Combiner<K, J> {
    shared: Arc<Shared<K, J>>,
}

struct Shared<K, J> {
    max_batch: NonZeroUsize,
    /// The keys that somebody leads, with the jobs that wait for the next batch.
    led: Mutex<HashMap<K, VecDeque<J>>>,
}

impl<K: Eq + Hash + Clone, J> Combiner<K, J> {
    /// One whose batches are of at most `max_batch` jobs.
    pub fn new(max_batch: NonZeroUsize) -> Self {
        let led = Mutex::new(HashMap::new());
        Self {
            shared: Arc::new(Shared { max_batch, led }),
        }
    }

    /// Puts the job at the end of its key's queue.
    ///
    /// If nobody leads the key, the caller does from now on, and gets the means.
    #[must_use = "jobs wait for ever behind a lead that nobody takes"]
    pub fn join(&self, key: K, job: J) -> Option<Lead<K, J>> {
        let mut led = self.shared.led();
        if let Some(waiting) = led.get_mut(&key) {
            waiting.push_back(job);
            return None;
        }
        led.insert(key.clone(), VecDeque::from([job]));
        drop(led);
        let combiner = self.clone();
        Some(Lead {
            combiner,
            key: Some(key),
        })
    }

    /// How many jobs wait for their batch, of all keys.
    pub fn waiting(&self) -> usize {
        self.shared.led().values().map(VecDeque::len).sum()
    }
}

impl<K, J> Shared<K, J> {
    /// Nothing that runs under the lock can panic half-way, so a poisoned one is whole.
    fn led(&self) -> MutexGuard<'_, HashMap<K, VecDeque<J>>> {
        self.led
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<K, J> Clone for Combiner<K, J> {
    fn clone(&self) -> Self {
        let shared = Arc::clone(&self.shared);
        Self { shared }
    }
}

impl<K, J> fmt::Debug for Combiner<K, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Combiner")
            .field("max_batch", &self.shared.max_batch)
            .finish_non_exhaustive()
    }
}

/// The right, and the duty, to do the jobs of one key, batch after batch.
///
/// Dropped before [`Lead::next_batch`] said that nobody waits, it drops the jobs that wait, and
/// the next one to join leads.
#[must_use = "dropping it drops the jobs that wait"]
pub struct Lead<K: Eq + Hash, J> {
    combiner: Combiner<K, J>,
    /// Taken when it steps down: by then another may lead the key.
    key: Option<K>,
}

impl<K: Eq + Hash, J> Lead<K, J> {
    /// The next batch, in the order of arrival, and the lead to go on with; or nothing, where
    /// nobody waits: then nobody leads the key any more.
    pub fn next_batch(mut self) -> Option<(Vec<J>, Self)> {
        let shared = Arc::clone(&self.combiner.shared);
        let mut led = shared.led();
        let waiting = self.key.as_ref().and_then(|key| led.get_mut(key))?;
        let size = waiting.len().min(shared.max_batch.get());
        let batch: Vec<J> = waiting.drain(..size).collect();
        if batch.is_empty() {
            // Under the same lock as the look at the queue: nobody can join in between.
            self.key.take().and_then(|key| led.remove(&key));
            return None;
        }
        drop(led);
        Some((batch, self))
    }
}

impl<K: Eq + Hash, J> Drop for Lead<K, J> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        let abandoned = self.combiner.shared.led().remove(&key);
        // Not under the lock: what a job does when it is dropped is its own affair.
        drop(abandoned);
    }
}

impl<K: Eq + Hash, J> fmt::Debug for Lead<K, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lead").finish_non_exhaustive()
    }
}
