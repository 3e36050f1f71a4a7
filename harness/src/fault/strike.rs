//! The fault itself: what is done to the chosen step while the proxy holds it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt, Shared};
use rowlock_proxy::gate::{Event, channel};
use rowlock_proxy::{Control, ReplyAction, RequestAction, Step, StepId, TransactionState};
use rowlock_shop::history::{Operation, Request};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::buyer::Deserter;
use super::picker::Picker;
use super::{Case, Fault};
use crate::environment::EnvironmentError;
use crate::world::World;

/// How long the chosen step may take to come, once its request has been answered without it.
const LATE_STEP_BOUND: Duration = Duration::from_secs(1);

/// How long anything else that is waited for may take.
const BOUND: Duration = Duration::from_secs(10);

/// How long a step is stalled at the most: longer than the timeouts that
/// a target is given for it.
pub(super) const STALL_BOUND: Duration = Duration::from_secs(2);

/// Why a fault that breaks a step's reply did not take place.
const NO_REPLY: &str = "the step got no reply";

/// What a backend executes when it is terminated while it runs.
const TERMINATE: &str = "select pg_terminate_backend(pg_backend_pid())";

/// How often the database is asked for a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// A request under way, whose operation several places wait for.
pub(super) type Pending = Shared<BoxFuture<'static, Operation>>;

/// What a strike leaves behind.
#[derive(Debug)]
pub(super) struct Struck {
    /// The victim's request and its rival's, if there is one; they may not be answered yet.
    pub(super) requests: Vec<Pending>,
    /// The step that was broken, if it came.
    pub(super) step: Option<StepId>,
    /// Why the fault did not take place as it was meant to, as far as is known by now.
    pub(super) missed: Option<String>,
    /// Whether the victim was answered while its step was still held.
    pub(super) gave_up: bool,
    /// When the fault was over: from here on nothing is in the target's way.
    pub(super) over: Instant,
}

impl Struck {
    fn at(
        step: &Step,
        missed: Option<String>,
        requests: impl IntoIterator<Item = Pending>,
    ) -> Self {
        Self {
            requests: requests.into_iter().collect(),
            step: Some(step.id),
            missed,
            gave_up: false,
            over: Instant::now(),
        }
    }

    fn without_step(request: Pending) -> Self {
        Self {
            requests: vec![request],
            step: None,
            missed: Some("the step was not reached".into()),
            gave_up: false,
            over: Instant::now(),
        }
    }
}

/// Everything that one strike needs.
pub(super) struct Strike<'a, 'w> {
    pub(super) world: &'a World<'w>,
    pub(super) control: &'a Control,
    pub(super) case: Case,
    /// The SQL that the chosen step had when nothing was broken.
    pub(super) expected_sql: &'a str,
    pub(super) victim: Request,
    pub(super) rival: Request,
}

impl Strike<'_, '_> {
    /// Sends the request and breaks its chosen step.
    pub(super) async fn run(&self) -> Result<Struck, EnvironmentError> {
        let picker = Picker::new(self.case.step);
        let (gate, mut events) = channel(move |step| picker.picks(step));
        self.control.set_gate(Some(Arc::new(gate)));
        let struck = match self.case.fault {
            Fault::ClientAbort => self.abort_client(&mut events).await,
            _ => self.break_step(&mut events).await,
        };
        self.control.set_gate(None);
        struck
    }

    /// The client hangs up between the step's execution and its reply.
    async fn abort_client(
        &self,
        events: &mut UnboundedReceiver<Event>,
    ) -> Result<Struck, EnvironmentError> {
        let address = self.world.address(0);
        let sent = Deserter::send(address, self.victim.clone(), self.world.clock()).await;
        let deserter = sent.map_err(|source| EnvironmentError::Connect {
            index: 0,
            count: 1,
            source,
        })?;
        let step = timeout(BOUND, next_request(events)).await.ok().flatten();
        let Some(step) = step else {
            return Ok(Struck::without_step(answered(deserter.leave().await)));
        };
        self.control
            .release_request(step.id, RequestAction::Deliver);
        let replied = timeout(BOUND, next_reply(events)).await;
        let rival = self.start_rival().await?;
        let victim = answered(deserter.leave().await);
        self.control.release_reply(step.id, ReplyAction::Deliver);
        let no_reply = replied.err().map(|_| NO_REPLY.to_owned());
        let missed = no_reply.or_else(|| self.differs(&step));
        Ok(Struck::at(&step, missed, [victim].into_iter().chain(rival)))
    }

    async fn break_step(
        &self,
        events: &mut UnboundedReceiver<Event>,
    ) -> Result<Struck, EnvironmentError> {
        let victim = self.start(0, self.victim.clone()).await?;
        let step = tokio::select! {
            step = next_request(events) => step,
            () = gone_by(victim.clone()) => None,
        };
        let Some(step) = step else {
            return Ok(Struck::without_step(victim));
        };
        // What breaks the reply comes after the step, and so does the rival.
        if matches!(self.case.fault, Fault::DropAfter | Fault::CrashAfter(_)) {
            self.control
                .release_request(step.id, RequestAction::Deliver);
            if timeout(BOUND, next_reply(events)).await.is_err() {
                return Ok(Struck::at(&step, Some(NO_REPLY.into()), [victim]));
            }
        }
        let rival = self.start_rival().await?;
        let gave_up = match self.case.fault {
            Fault::Stall => timeout(STALL_BOUND, victim.clone()).await.is_ok(),
            _ => false,
        };
        self.strike(&step).await?;
        let missed = self.differs(&step);
        let struck = Struck::at(&step, missed, [victim].into_iter().chain(rival));
        Ok(Struck { gave_up, ..struck })
    }

    /// Does the fault to `step`, whose request or reply is held; a stall ends with it.
    async fn strike(&self, step: &Step) -> Result<(), EnvironmentError> {
        let server = self.world.server();
        // The step's session may end before; what really became of the step is in the trace.
        let request = |action| {
            self.control.release_request(step.id, action);
        };
        let reply = |action| {
            self.control.release_reply(step.id, action);
        };
        match self.case.fault {
            Fault::Error(state) if step.verb().ends_transaction() => {
                request(RequestAction::fail_end(state.code()));
            }
            Fault::Error(state) => request(RequestAction::fail(state.code())),
            Fault::DropBefore => request(RequestAction::Drop),
            Fault::DropAfter => reply(ReplyAction::Drop),
            // A transaction that has failed runs nothing more.
            Fault::TerminateRunning if step.state_before == Some(TransactionState::Failed) => {
                request(RequestAction::RollBackAndReplace(TERMINATE.into()));
            }
            Fault::TerminateRunning => request(RequestAction::Replace(TERMINATE.into())),
            Fault::TerminateIdle => {
                self.world
                    .inspector()
                    .terminate(step.pid.unwrap_or_default())
                    .await?;
                request(RequestAction::Deliver);
            }
            Fault::Stall => request(RequestAction::Deliver),
            Fault::CrashBefore(crash) => {
                server.stop_with(crash.stop_mode()).await?;
                request(RequestAction::Deliver);
                server.start_again().await?;
            }
            Fault::CrashAfter(crash) => {
                server.stop_with(crash.stop_mode()).await?;
                reply(ReplyAction::Drop);
                server.start_again().await?;
            }
            Fault::ClientAbort => unreachable!("a client that hangs up is played elsewhere"),
        }
        Ok(())
    }

    /// Why `step` is not the one that was meant, if it is another.
    fn differs(&self, step: &Step) -> Option<String> {
        let sql = sql(step);
        (sql != self.expected_sql).then(|| {
            format!(
                "the step is {sql:?}, and was {:?} when nothing was broken",
                self.expected_sql
            )
        })
    }

    async fn start(&self, index: usize, request: Request) -> Result<Pending, EnvironmentError> {
        let connected = self.world.connect(index).await;
        let mut client = connected.map_err(|source| EnvironmentError::Connect {
            index,
            count: 2,
            source,
        })?;
        let purchase = tokio::spawn(async move { client.purchase(request).await });
        let operation = async { purchase.await.expect("a client's task does not panic") };
        Ok(operation.boxed().shared())
    }

    /// Lets the second buyer come, if there is one, and waits until it stands in line behind
    /// the first, or has its answer.
    async fn start_rival(&self) -> Result<Option<Pending>, EnvironmentError> {
        if !self.case.rival {
            return Ok(None);
        }
        let rival = self.start(1, self.rival.clone()).await?;
        // A target that makes it wait elsewhere, for a connection say, shows neither.
        let deadline = Instant::now() + LATE_STEP_BOUND;
        while rival.peek().is_none() && Instant::now() < deadline {
            if self.world.inspector().waits_for_lock().await? {
                break;
            }
            let _ = timeout(POLL_INTERVAL, rival.clone()).await;
        }
        Ok(Some(rival))
    }
}

/// The SQL of a step: its statements, one after another.
pub(super) fn sql(step: &Step) -> String {
    let statements: Vec<_> = step
        .statements
        .iter()
        .map(|statement| statement.sql.as_str())
        .collect();
    statements.join("; ")
}

/// A request that is over.
fn answered(operation: Operation) -> Pending {
    std::future::ready(operation).boxed().shared()
}

async fn next_request(events: &mut UnboundedReceiver<Event>) -> Option<Step> {
    loop {
        if let Event::Request(step) = events.recv().await? {
            return Some(step);
        }
    }
}

async fn next_reply(events: &mut UnboundedReceiver<Event>) {
    while let Some(event) = events.recv().await {
        if matches!(event, Event::Reply(..)) {
            return;
        }
    }
}

/// Ends a while after the request was answered: its step will not come any more.
async fn gone_by(request: Pending) {
    request.await;
    tokio::time::sleep(LATE_STEP_BOUND).await;
}
