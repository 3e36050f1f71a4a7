//! The conductor: makes requests run in the order of a schedule, and writes down what ran.
//!
//! The application code of one request runs at a time, and everything else is held
//! at the gate or waits inside PostgreSQL, so whatever arrives belongs to that one. A choice
//! delivers a held step; then the conductor waits until the server has nothing more to do, that
//! is, until every delivered step is answered or, as PostgreSQL itself says, waits for a lock.
//! Then it hands out the replies, one at a time, each followed by waiting until its request
//! holds its next step or is answered.
//!
//! ```text
//! what is known; pure                            what is done
//!   state         all of it, and whose a step is   drive        from choice to choice
//!     stage         where one request is           signals      what each signal means
//!     requests      the requests of a run          application  until no application code runs
//!     sessions      the target's connections       server       until PostgreSQL is done
//!     wait_graph    who waits for whom             deadlock     when nothing is held
//!     transactions  what the open ones touched     leftovers    after the last answer
//!                                                  abandon      after control was lost
//!                                                  limits       what our holding may have met
//! ```
//!
//! Time-outs here bound silence and never decide: a request that shows nothing is marked as
//! waiting inside the application, and what cannot be explained ends control, with the reason.
//! It knows nothing of HTTP: `invoke` starts a request, and a signal says its end.

mod requests;
mod sessions;
mod stage;
mod state;
mod transactions;
mod wait_graph;

mod abandon;
mod application;
mod deadlock;
mod drive;
mod leftovers;
mod limits;
mod server;
mod signals;

#[cfg(test)]
pub(super) mod sample;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use self::drive::Drive;
use self::sessions::Sessions;
use super::control::{Control, LostControl};
use super::execution::Execution;
use super::footprints::Footprints;
use super::monitor::Monitor;
use super::schedule::RequestIndex;
use super::signal::{Signal, SignallingGate};
use super::strategy::Chooser;
use rowlock_proxy::isolation::Isolation;
use rowlock_proxy::{Step, StepId};

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
    /// Whose each step was, as far as that was seen.
    pub senders: HashMap<StepId, RequestIndex>,
}

/// Drives one target behind one proxy.
#[derive(Debug)]
pub struct Conductor<A> {
    proxy: rowlock_proxy::Control,
    signals: UnboundedReceiver<Signal<A>>,
    sender: UnboundedSender<Signal<A>>,
    monitor: Monitor,
    footprints: Footprints,
    isolation: Arc<Isolation>,
    bounds: Bounds,
    /// What is known of the target's connections.
    sessions: Sessions,
    is_busy: Activity,
    is_nobodys: Nobodys,
    /// Every text that a request's step had.
    texts: HashSet<String>,
    spent: Spent,
}

impl<A: Send + 'static> Conductor<A> {
    /// Takes hold of a proxy's gate, at which `isolation` has listened so far. `is_busy` says
    /// whether the target has something to do, as far as can be seen from outside.
    pub fn new(
        proxy: rowlock_proxy::Control,
        monitor: Monitor,
        footprints: Footprints,
        isolation: Arc<Isolation>,
        bounds: Bounds,
        is_busy: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let (sender, signals) = unbounded_channel();
        let conductor = Conductor {
            proxy,
            signals,
            sender,
            monitor,
            footprints,
            isolation,
            bounds,
            sessions: Sessions::default(),
            is_busy: Activity(Box::new(is_busy)),
            is_nobodys: Nobodys(Box::new(|_, _| false)),
            texts: HashSet::new(),
            spent: Spent::default(),
        };
        conductor.take_hold();
        conductor
    }

    /// Lets each statement pass at once that `is_nobodys` tells by its text, or by the
    /// `application_name` with which its connection began: no request's.
    pub fn leave_alone(
        &mut self,
        is_nobodys: impl Fn(&str, &dyn Fn() -> String) -> bool + Send + Sync + 'static,
    ) {
        self.is_nobodys = Nobodys(Box::new(is_nobodys));
    }

    /// Whether no statement of a step is a request's.
    fn is_left_alone(&self, step: &Step) -> bool {
        let name = || {
            let mut sessions = self.proxy.sessions().into_iter();
            let session = sessions.find(|it| it.id == step.id.session);
            let name = session.and_then(|mut it| it.parameters.remove("application_name"));
            name.unwrap_or_default()
        };
        let mut statements = step.statements.iter();
        !step.statements.is_empty() && statements.all(|it| (self.is_nobodys.0)(&it.sql, &name))
    }

    /// Takes hold of the gate of a target that was started anew, of whose sessions nothing is known.
    pub fn begin_anew(&mut self) {
        while self.signals.try_recv().is_ok() {}
        self.sessions = Sessions::default();
        self.take_hold();
    }

    /// Takes hold of the gate again.
    pub fn take_hold(&self) {
        let gate = SignallingGate(self.sender.clone());
        self.proxy.set_gate(Some(Arc::new(gate)));
    }

    /// Lets everything pass until it takes hold again; what is said of isolation levels is heard.
    pub fn let_go(&self) {
        self.isolation.watch_again();
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
        let mut drive = Drive::begin(self);
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            let Ok(Some(signal)) = timeout(left, drive.conductor.signals.recv()).await else {
                break;
            };
            // With no request there is nothing to lose control of.
            let _ = drive.take(signal);
        }
        drive.end();
    }

    /// Runs `count` requests under the choices of `chooser`. `invoke` sends one request and sees
    /// to it that its answer is signalled.
    ///
    /// # Errors
    /// The harness's own statements.
    pub async fn run(
        &mut self,
        count: usize,
        mut invoke: impl FnMut(RequestIndex, UnboundedSender<Signal<A>>),
        chooser: &mut dyn Chooser,
    ) -> Result<Conducted<A>, sqlx::Error> {
        self.heed_isolation();
        let mut drive = Drive::begin(self);
        let control = match drive.run_to_the_end(count, &mut invoke, chooser).await {
            Ok(()) => Control::Kept,
            Err(Failure::Sql(error)) => return Err(error),
            Err(Failure::Lost(why)) => {
                drive.let_go().await;
                Control::Lost(why)
            }
        };
        drive.execution.control = control;
        Ok(drive.end())
    }
}

/// Says whether the target has something to do.
struct Activity(Box<dyn Fn() -> bool + Send + Sync>);

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Activity")
    }
}

/// Says of a statement's text and its connection's name whether it is nobody's.
struct Nobodys(Box<IsNobodys>);

type IsNobodys = dyn Fn(&str, &dyn Fn() -> String) -> bool + Send + Sync;

impl fmt::Debug for Nobodys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nobodys")
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
