//! The conductor: makes requests run in the order of a schedule, and writes down what ran.
//!
//! The one idea: the application code of one request runs at a time, and everything else is held
//! at the gate or waits inside PostgreSQL, so whatever arrives belongs to that one. A choice
//! delivers a held step; then the conductor waits until the server has nothing more to do, that
//! is, until every delivered step is answered or, as PostgreSQL itself says, waits for a lock.
//! Then it hands out the replies, one at a time, each followed by waiting until its request
//! holds its next step or is answered.
//!
//! Time-outs here bound silence and never decide: a request that shows nothing is marked as
//! waiting inside the application, and what cannot be explained ends control, with the reason.
//! It knows nothing of HTTP and of shops: `begin` starts a request, and a signal says its end.

mod application;
mod hearing;
mod impasse;
mod quiet;
mod rest;
mod run;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use self::run::Run;
use super::cast::Cast;
use super::control::{Control, LostControl};
use super::execution::{Execution, Leftovers};
use super::footprints::Footprints;
use super::monitor::Monitor;
use super::schedule::{RequestIndex, Schedule};
use super::signal::{Signal, SignallingGate};
use super::strategy::Chooser;
use crate::isolation::Isolation;
use crate::proxy;

/// How long the conductor waits.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// For any sign of a request whose application code may run, before it counts as waiting
    /// inside the application. It begins again while the target is seen to have something to do,
    /// up to the time of `patience`.
    pub silence: Duration,
    /// For a statement that neither is answered nor waits for a lock, and for a stalled request
    /// when nothing else can go on, before control counts as lost.
    pub patience: Duration,
    /// The most choices of one run.
    pub choices: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            silence: Duration::from_millis(300),
            patience: Duration::from_secs(10),
            choices: 1_000,
        }
    }
}

/// Where a conductor's time went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    /// Waiting for replies and for locks, after a delivery.
    pub server: Duration,
    /// Of these, asking PostgreSQL who waits.
    pub polls: Duration,
    /// How often it was asked.
    pub poll_count: u64,
    /// Waiting for application code.
    pub application: Duration,
    /// Steps delivered.
    pub steps: u64,
}

impl Spent {
    pub(super) fn add(&mut self, other: Spent) {
        self.server += other.server;
        self.polls += other.polls;
        self.poll_count += other.poll_count;
        self.application += other.application;
        self.steps += other.steps;
    }
}

/// What a conducted run came to.
#[derive(Debug)]
pub struct Conducted<A> {
    /// What ran.
    pub execution: Execution,
    /// Each request's answer, and its place in the transcript.
    pub answers: Vec<Option<(A, usize)>>,
}

/// Drives one target behind one proxy.
#[derive(Debug)]
pub struct Conductor<A> {
    proxy: proxy::Control,
    signals: UnboundedReceiver<Signal<A>>,
    sender: UnboundedSender<Signal<A>>,
    monitor: Monitor,
    footprints: Footprints,
    isolation: Arc<Isolation>,
    bounds: Bounds,
    cast: Cast<A>,
    is_busy: Activity,
    /// Every text that a request's step had.
    texts: HashSet<String>,
    spent: Spent,
}

impl<A: Send + 'static> Conductor<A> {
    /// Takes hold of a proxy's gate, at which `isolation` has listened so far. `is_busy` says
    /// whether the target has something to do, as far as can be seen from outside.
    pub fn new(
        proxy: proxy::Control,
        monitor: Monitor,
        footprints: Footprints,
        isolation: Arc<Isolation>,
        bounds: Bounds,
        is_busy: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let (sender, signals) = unbounded_channel();
        proxy.set_gate(Some(Arc::new(SignallingGate(sender.clone()))));
        Conductor {
            proxy,
            signals,
            sender,
            monitor,
            footprints,
            isolation,
            bounds,
            cast: Cast::new(),
            is_busy: Activity(Box::new(is_busy)),
            texts: HashSet::new(),
            spent: Spent::default(),
        }
    }

    /// Where its time went so far.
    pub fn spent(&self) -> Spent {
        Spent {
            poll_count: self.monitor.polls,
            ..self.spent
        }
    }

    /// A stricter level sees what its transaction's first statement saw, which footprints do not
    /// tell.
    fn heed_isolation(&mut self) {
        if self.isolation.is_strict() {
            self.footprints.give_up();
        }
    }

    /// Lets everything go, and closes its own connection.
    pub async fn close(self) {
        self.proxy.set_gate(None);
        self.monitor.close().await;
    }

    /// Listens for `duration` while no request runs, so that background jobs become known.
    pub async fn listen(&mut self, duration: Duration) {
        let deadline = Instant::now() + duration;
        self.cast.clear();
        let mut run = Run::new(self);
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            let Ok(Some(signal)) = timeout(left, run.conductor.signals.recv()).await else {
                break;
            };
            // With no request there is nothing to lose control of.
            let _ = run.take(signal);
        }
    }

    /// Runs `count` requests under the choices of `chooser`. `begin` sends one request and sees
    /// to it that its answer is signalled.
    ///
    /// # Errors
    /// The harness's own statements.
    pub async fn run(
        &mut self,
        count: usize,
        mut begin: impl FnMut(RequestIndex, UnboundedSender<Signal<A>>),
        chooser: &mut dyn Chooser,
    ) -> Result<Conducted<A>, sqlx::Error> {
        self.heed_isolation();
        self.cast.clear();
        let mut run = Run::new(self);
        // What came since the last run is of no request.
        let performed = match run.drain() {
            Ok(_) => run.perform(count, &mut begin, chooser).await,
            Err(failure) => Err(failure),
        };
        let rested = match performed {
            Ok(()) => run.locks_left().await,
            Err(failure) => Err(failure),
        };
        let mut locks = Vec::new();
        let control = match rested {
            Ok(left) => {
                locks = left;
                Control::Kept
            }
            Err(Failure::Sql(error)) => return Err(error),
            Err(Failure::Lost(why)) => {
                run.let_go().await;
                Control::Lost(why)
            }
        };
        let Run {
            transcript,
            transitions,
            uncontrolled,
            left_open,
            ..
        } = run;
        let choices = transitions.iter().map(|transition| transition.choice);
        let answers = self.cast.actors.drain(..);
        let answers = answers.map(|actor| Some((actor.answer?, actor.done_at)));
        Ok(Conducted {
            answers: answers.collect(),
            execution: Execution {
                schedule: Schedule(choices.collect()),
                transitions,
                transcript,
                control,
                uncontrolled,
                leftovers: Leftovers {
                    open_transactions: left_open,
                    locks,
                },
            },
        })
    }
}

/// Says whether the target has something to do.
struct Activity(Box<dyn Fn() -> bool + Send + Sync>);

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Activity")
    }
}

/// Why a run ended early.
enum Failure {
    /// It cannot go on under control.
    Lost(LostControl),
    /// The harness's own statements failed.
    Sql(sqlx::Error),
}

impl From<LostControl> for Failure {
    fn from(why: LostControl) -> Self {
        Failure::Lost(why)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Failure::Sql(error)
    }
}
