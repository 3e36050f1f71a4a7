//! The fault itself: what is done to the chosen step while the proxy holds it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt, Shared};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::Scene;
use crate::client::Client;
use crate::environment::EnvironmentError;
use crate::fault::Fault;
use crate::fault::evidence::Missed;
use crate::fault::line::Line;
use crate::fault::picker::Picker;
use crate::fault::steps::{shape, sql};
use crate::fault::stories::{Asked, Stories};
use rowlock_proxy::gate::{Event, channel};
use rowlock_proxy::{ReplyAction, RequestAction, Step, StepId, TransactionState};

/// How long the chosen step may take to come, once its request has been answered without it.
const LATE_STEP_BOUND: Duration = Duration::from_secs(1);

/// How long anything else that is waited for may take.
const BOUND: Duration = Duration::from_secs(10);

/// How long a step is stalled at the most: longer than the timeouts that
/// a target is given for it.
pub(super) const STALL_BOUND: Duration = Duration::from_secs(2);

/// What a backend executes when it is terminated while it runs.
const TERMINATE: &str = "select pg_terminate_backend(pg_backend_pid())";

/// A request under way, whose operation several places wait for.
pub(super) type Pending<S> = Shared<BoxFuture<'static, Asked<S>>>;

/// What a strike leaves behind.
#[derive(Debug)]
pub(super) struct Struck<S: Stories> {
    /// The chosen request, first, and its rival's, if there is one; they may not be answered yet.
    pub(super) requests: Vec<Pending<S>>,
    /// What was done to them.
    pub(super) blow: Blow,
}

/// What was done to a request.
#[derive(Debug)]
pub(super) struct Blow {
    /// The step that was broken, if it came.
    pub(super) step: Option<StepId>,
    /// Why the fault did not take place as it was meant to, as far as is known by now.
    pub(super) missed: Option<Missed>,
    /// Whether the request was answered while its step was still held.
    pub(super) gave_up: bool,
    /// When the fault was over: from here on nothing is in the target's way.
    pub(super) over: Instant,
}

impl Blow {
    /// Of a fault that came while nothing was under way.
    pub(super) fn between_requests() -> Blow {
        Blow {
            step: None,
            missed: None,
            gave_up: false,
            over: Instant::now(),
        }
    }
}

impl<S: Stories> Struck<S> {
    fn at(
        step: &Step,
        missed: Option<Missed>,
        gave_up: bool,
        requests: impl IntoIterator<Item = Pending<S>>,
    ) -> Self {
        Self {
            requests: requests.into_iter().collect(),
            blow: Blow {
                step: Some(step.id),
                missed,
                gave_up,
                over: Instant::now(),
            },
        }
    }

    fn without_step(request: Pending<S>) -> Self {
        Self {
            requests: vec![request],
            blow: Blow {
                step: None,
                missed: Some(Missed::NotReached),
                gave_up: false,
                over: Instant::now(),
            },
        }
    }
}

/// Sends the chosen request and breaks its chosen step.
pub(super) async fn strike<S: Stories>(
    scene: &Scene<'_, '_, S>,
) -> Result<Struck<S>, EnvironmentError> {
    let Scene { case, baseline, .. } = scene;
    let control = scene.place.control();
    let sporadic = baseline.sporadic.keys().cloned().collect();
    let picker = Picker::new(case.step, &baseline.steps, sporadic, scene.open.clone());
    let (gate, mut events) = channel(move |step| picker.picks(step));
    control.set_gate(Some(Arc::new(gate)));
    let struck = match case.fault {
        Fault::ClientAbort => scene.abort_client(&mut events).await,
        _ => scene.break_step(&mut events).await,
    };
    control.set_gate(None);
    struck
}

impl<S: Stories> Scene<'_, '_, S> {
    /// The client hangs up between the step's execution and its reply.
    async fn abort_client(
        &self,
        events: &mut UnboundedReceiver<Event>,
    ) -> Result<Struck<S>, EnvironmentError> {
        let opened = Line::open(self.place.address(0)).await;
        let line = opened.map_err(|source| EnvironmentError::Connect {
            index: 0,
            count: 1,
            source,
        })?;
        let client = self.place.rig().connect_to(line.address(), 0, 1).await?;
        let chosen = self.send(self.chosen.clone(), client);
        let step = tokio::select! {
            step = next_request(events) => step,
            () = gone_by(chosen.clone()) => None,
        };
        let Some(step) = step else {
            line.cut().await;
            return Ok(Struck::without_step(hung_up(chosen)));
        };
        let control = self.place.control();
        control.release_request(step.id, RequestAction::Deliver);
        let replied = timeout(BOUND, next_reply(events)).await;
        let rival = self.start_rival().await?;
        line.cut().await;
        let chosen = hung_up(chosen);
        chosen.clone().await;
        control.release_reply(step.id, ReplyAction::Deliver);
        let no_reply = replied.err().map(|_| Missed::NoReply);
        let missed = no_reply.or_else(|| self.differs(&step));
        let requests = [chosen].into_iter().chain(rival);
        Ok(Struck::at(&step, missed, false, requests))
    }

    async fn break_step(
        &self,
        events: &mut UnboundedReceiver<Event>,
    ) -> Result<Struck<S>, EnvironmentError> {
        let chosen = self.start(0, self.chosen.clone()).await?;
        let step = tokio::select! {
            step = next_request(events) => step,
            () = gone_by(chosen.clone()) => None,
        };
        let Some(step) = step else {
            return Ok(Struck::without_step(chosen));
        };
        // What breaks the reply comes after the step, and so does the rival.
        if matches!(self.case.fault, Fault::DropAfter | Fault::CrashAfter(_)) {
            let control = self.place.control();
            control.release_request(step.id, RequestAction::Deliver);
            if timeout(BOUND, next_reply(events)).await.is_err() {
                let missed = Some(Missed::NoReply);
                return Ok(Struck::at(&step, missed, false, [chosen]));
            }
        }
        let rival = self.start_rival().await?;
        let gave_up = match self.case.fault {
            Fault::Stall => timeout(STALL_BOUND, chosen.clone()).await.is_ok(),
            _ => false,
        };
        self.do_to(&step).await?;
        let missed = self.differs(&step);
        let requests = [chosen].into_iter().chain(rival);
        Ok(Struck::at(&step, missed, gave_up, requests))
    }

    /// Does the fault to `step`, whose request or reply is held; a stall ends with it.
    async fn do_to(&self, step: &Step) -> Result<(), EnvironmentError> {
        let (server, control) = (self.place.server(), self.place.control());
        // The step's session may end before; what really became of the step is in the trace.
        let request = |action| {
            control.release_request(step.id, action);
        };
        let reply = |action| {
            control.release_reply(step.id, action);
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
                let inspector = self.place.inspector();
                inspector.terminate(step.pid.unwrap_or_default()).await?;
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
            Fault::TerminateConnection => unreachable!("an idle connection holds no step"),
        }
        Ok(())
    }

    /// Why `step` is not the one that was meant, if it is another.
    fn differs(&self, step: &Step) -> Option<Missed> {
        let expected = self.baseline.step(&self.case);
        if expected.is_some_and(|expected| shape(expected) == shape(step)) {
            return None;
        }
        Some(Missed::OtherStep {
            found: sql(step),
            expected: expected.map(sql).unwrap_or_default(),
        })
    }

    pub(super) async fn start(
        &self,
        index: usize,
        request: S::Request,
    ) -> Result<Pending<S>, EnvironmentError> {
        let client = self.place.rig().connect(index, 2).await?;
        Ok(self.send(request, client))
    }

    fn send(&self, request: S::Request, client: Client) -> Pending<S> {
        let sent = self.place.send(request.clone(), client);
        let asked = async {
            Asked {
                request,
                operation: sent.await,
            }
        };
        asked.boxed().shared()
    }
}

/// A request whose client has hung up.
fn hung_up<S: Stories>(request: Pending<S>) -> Pending<S> {
    let asked = request.map(|mut asked| {
        S::hang_up(&mut asked.operation);
        asked
    });
    asked.boxed().shared()
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
async fn gone_by<S: Stories>(request: Pending<S>) {
    request.await;
    tokio::time::sleep(LATE_STEP_BOUND).await;
}
