//! A gate that breaks one step of the second transaction that a service begins.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use rowlock_proxy::gate::{Decision, Gate};
use rowlock_proxy::{Reply, ReplyAction, RequestAction, Step, StepId};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What is done to one step of the transaction that two orders share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server answers it with this SQLSTATE.
    Error(&'static str),
    /// It never reaches the server.
    DropBefore,
    /// Its reply never reaches the service.
    DropAfter,
    /// Its session is terminated.
    Terminate,
    /// It does not end before the service's own deadline.
    Stall,
    /// The client of the first of the two hangs up meanwhile.
    HangUp,
}

/// Counts the steps of the second transaction and of what follows, and breaks one of them.
pub struct Breaker {
    /// Which, from 1, and how; nothing only counts.
    broken: Option<(usize, Fault)>,
    begun: AtomicUsize,
    steps: AtomicUsize,
    struck: OnceLock<StepId>,
    held: UnboundedSender<StepId>,
}

impl Breaker {
    /// It, and the steps that it holds.
    pub fn new(broken: Option<(usize, Fault)>) -> (Arc<Self>, UnboundedReceiver<StepId>) {
        let (held, holds) = unbounded_channel();
        let breaker = Self {
            broken,
            begun: AtomicUsize::new(0),
            steps: AtomicUsize::new(0),
            struck: OnceLock::new(),
            held,
        };
        (Arc::new(breaker), holds)
    }

    /// How many steps it has counted.
    pub fn steps(&self) -> usize {
        self.steps.load(Ordering::Relaxed)
    }

    /// Whether the chosen step came.
    pub fn has_struck(&self) -> bool {
        self.struck.get().is_some()
    }
}

impl Gate for Breaker {
    fn on_request(&self, step: &Step) -> Decision<RequestAction> {
        let deliver = Decision::Now(RequestAction::Deliver);
        let Some(first) = step.statements.first().filter(|_| step.kind.runs()) else {
            return deliver;
        };
        if first.sql.starts_with("begin") {
            self.begun.fetch_add(1, Ordering::Relaxed);
        }
        if self.begun.load(Ordering::Relaxed) < 2 {
            return deliver;
        }
        let number = 1 + self.steps.fetch_add(1, Ordering::Relaxed);
        let Some((_, fault)) = self.broken.filter(|(at, _)| *at == number) else {
            return deliver;
        };
        self.struck.set(step.id).unwrap();
        match fault {
            Fault::Error(sqlstate) => Decision::Now(RequestAction::fail(sqlstate)),
            Fault::DropBefore => Decision::Now(RequestAction::Drop),
            Fault::Terminate => {
                let terminate = "select pg_terminate_backend(pg_backend_pid())";
                Decision::Now(RequestAction::Replace(terminate.to_owned()))
            }
            Fault::Stall => {
                self.held.send(step.id).unwrap();
                Decision::Hold
            }
            Fault::DropAfter | Fault::HangUp => deliver,
        }
    }

    fn on_reply(&self, step: &Step, _reply: &Reply) -> Decision<ReplyAction> {
        let fault = self.broken.map(|(_, fault)| fault);
        match fault.filter(|_| self.struck.get() == Some(&step.id)) {
            Some(Fault::DropAfter) => Decision::Now(ReplyAction::Drop),
            Some(Fault::HangUp) => {
                self.held.send(step.id).unwrap();
                Decision::Hold
            }
            _ => Decision::Now(ReplyAction::Deliver),
        }
    }
}
