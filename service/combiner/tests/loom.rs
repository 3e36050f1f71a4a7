//! Every order in which a few threads can meet at the combiner, tried by loom.
//!
//! Run by `ci/loom` with `--cfg loom`; without it there is nothing here. Each model is of at most
//! three threads beside the first and two keys; `LOOM_MAX_PREEMPTIONS` bounds how often a thread
//! is cut off in the middle.
#![cfg(loom)]

use std::num::NonZeroUsize;

use combiner::{Combiner, Lead};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// What a sender waits for.
#[derive(Clone)]
struct Reply(Arc<Mutex<Answer>>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    None,
    Done,
    /// Its job was dropped.
    Dropped,
}

impl Reply {
    fn new() -> Self {
        Reply(Arc::new(Mutex::new(Answer::None)))
    }

    fn say(&self, answer: Answer) {
        let mut said = self.0.lock().unwrap();
        assert_eq!(*said, Answer::None, "a job is done once");
        *said = answer;
    }

    fn said(&self) -> Answer {
        *self.0.lock().unwrap()
    }
}

struct Job {
    reply: Reply,
    is_done: bool,
}

impl Job {
    fn new(reply: &Reply) -> Self {
        let (reply, is_done) = (reply.clone(), false);
        Job { reply, is_done }
    }

    fn done(mut self) {
        self.is_done = true;
        self.reply.say(Answer::Done);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.is_done {
            self.reply.say(Answer::Dropped);
        }
    }
}

/// Whatever gathers jobs: the combiner, or one that is broken on purpose.
trait Gather: Clone + Send + 'static {
    /// Adds a job; whoever is to lead does all that waits.
    fn join_and_lead(&self, key: u8, job: Job, under_way: &AtomicUsize);
}

impl Gather for Combiner<u8, Job> {
    fn join_and_lead(&self, key: u8, job: Job, under_way: &AtomicUsize) {
        if let Some(lead) = self.join(key, job) {
            lead_to_the_end(lead, under_way);
        }
    }
}

fn lead_to_the_end(mut lead: Lead<u8, Job>, under_way: &AtomicUsize) {
    while let Some((batch, next)) = lead.next_batch() {
        assert_eq!(
            under_way.fetch_add(1, Ordering::SeqCst),
            0,
            "batches overlap"
        );
        assert!(batch.len() <= MAX_BATCH, "too large a batch");
        batch.into_iter().for_each(Job::done);
        under_way.fetch_sub(1, Ordering::SeqCst);
        lead = next;
    }
}

const MAX_BATCH: usize = 2;

fn combiner() -> Combiner<u8, Job> {
    Combiner::new(NonZeroUsize::new(MAX_BATCH).unwrap())
}

/// Each thread sends a job of its key; when all leaders have stepped down, every job must be done.
/// A sender that would wait for its answer then waits for nothing, and one that leaves is no
/// different from one that waits: no thread here waits for another's job.
fn all_are_done(gather: impl Gather, keys: &[u8]) {
    let under_way: Vec<_> = (0..2).map(|_| Arc::new(AtomicUsize::new(0))).collect();
    let senders: Vec<_> = keys
        .iter()
        .map(|&key| {
            let (gather, under_way) = (gather.clone(), Arc::clone(&under_way[usize::from(key)]));
            thread::spawn(move || {
                let reply = Reply::new();
                gather.join_and_lead(key, Job::new(&reply), &under_way);
                reply
            })
        })
        .collect();
    let replies: Vec<_> = senders
        .into_iter()
        .map(|sender| sender.join().unwrap())
        .collect();
    for reply in replies {
        assert_eq!(reply.said(), Answer::Done, "a wake-up is lost");
    }
}

#[test]
fn no_wake_up_is_lost_between_stepping_down_and_arriving() {
    loom::model(|| all_are_done(combiner(), &[0, 0]));
}

#[test]
fn three_of_one_key_are_each_in_one_batch() {
    loom::model(|| all_are_done(combiner(), &[0, 0, 0]));
}

#[test]
fn two_keys_are_led_apart() {
    loom::model(|| all_are_done(combiner(), &[0, 1, 0]));
}

#[test]
fn draining_ends_with_nobody_waiting() {
    loom::model(|| {
        let gather = combiner();
        all_are_done(gather.clone(), &[0, 0]);
        assert_eq!(gather.waiting(), 0);
        // Nobody leads any more: the next to come does.
        let last = Reply::new();
        gather.join_and_lead(0, Job::new(&last), &AtomicUsize::new(0));
        assert_eq!(last.said(), Answer::Done);
    });
}

#[test]
fn a_sender_that_leaves_while_its_job_waits_harms_nobody() {
    loom::model(|| {
        let gather = combiner();
        let first = Reply::new();
        let lead = gather.join(0, Job::new(&first)).expect("nobody leads yet");
        let leaver = {
            let gather = gather.clone();
            thread::spawn(move || {
                // It keeps nothing to be told by, and is gone.
                gather.join_and_lead(0, Job::new(&Reply::new()), &AtomicUsize::new(0));
            })
        };
        lead_to_the_end(lead, &AtomicUsize::new(0));
        leaver.join().unwrap();
        assert_eq!(first.said(), Answer::Done);
        assert_eq!(gather.waiting(), 0);
    });
}

#[test]
fn a_lead_that_is_dropped_leaves_nobody_waiting() {
    loom::model(|| {
        let gather = combiner();
        let first = Reply::new();
        let lead = gather.join(0, Job::new(&first)).expect("nobody leads yet");
        let other = {
            let gather = gather.clone();
            thread::spawn(move || {
                let reply = Reply::new();
                gather.join_and_lead(0, Job::new(&reply), &AtomicUsize::new(0));
                reply
            })
        };
        drop(lead);
        assert_eq!(first.said(), Answer::Dropped);
        // Before the drop, it waited behind the lead; after it, it leads.
        assert_ne!(other.join().unwrap().said(), Answer::None);
        assert_eq!(gather.waiting(), 0);
    });
}

/// A combiner whose leader looks at its queue and steps down in two steps.
#[derive(Clone)]
struct LosesAWakeUp {
    waiting: Arc<Mutex<Vec<Job>>>,
    is_led: Arc<Mutex<bool>>,
}

impl Gather for LosesAWakeUp {
    fn join_and_lead(&self, _key: u8, job: Job, _under_way: &AtomicUsize) {
        self.waiting.lock().unwrap().push(job);
        if std::mem::replace(&mut *self.is_led.lock().unwrap(), true) {
            return;
        }
        loop {
            let batch = std::mem::take(&mut *self.waiting.lock().unwrap());
            if batch.is_empty() {
                // Whoever comes here has seen a leader, and is seen by none.
                *self.is_led.lock().unwrap() = false;
                return;
            }
            batch.into_iter().for_each(Job::done);
        }
    }
}

#[test]
#[should_panic(expected = "a wake-up is lost")]
fn a_lost_wake_up_is_caught() {
    loom::model(|| {
        let gather = LosesAWakeUp {
            waiting: Arc::new(Mutex::new(Vec::new())),
            is_led: Arc::new(Mutex::new(false)),
        };
        all_are_done(gather, &[0, 0]);
    });
}
