//! What a target does when nothing is broken: the steps of a story, as its own trace shows them.

use std::time::{Duration, Instant};

use super::pool::{self, open_sessions};
use super::raisable::{Surroundings, can_come};
use super::{Case, Fault, Story, shop};
use crate::crowd;
use crate::database::REST_BOUND;
use crate::environment::EnvironmentError;
use crate::world::World;
use rowlock_proxy::{Control, Record, Recording, SessionInfo, Step};
use rowlock_shop::history::{Operation, Request};

/// How often a condition is asked for while it is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// What a target does when nothing is broken.
#[derive(Debug, Clone)]
pub(super) struct Baseline {
    /// Its steps, in order.
    pub(super) steps: Vec<Step>,
    /// How many requests hold a connection at once; none where that is not measured.
    pub(super) pool_size: Option<usize>,
    /// What decides beside them which errors can come.
    pub(super) surroundings: Surroundings,
}

impl Baseline {
    /// Of a target of which nothing is known.
    pub(super) const UNKNOWN: Baseline = Baseline {
        steps: Vec::new(),
        pool_size: None,
        surroundings: Surroundings::UNKNOWN,
    };

    /// The step that `case` breaks, if it was seen.
    pub(super) fn step(&self, case: Case) -> Option<&Step> {
        self.steps.get(case.step.checked_sub(1)?)
    }

    /// Whether PostgreSQL can do what `case` says; a step that was not seen may be any.
    pub(super) fn allows(&self, case: Case) -> bool {
        match (case.fault, self.step(case)) {
            (Fault::Error(state), Some(step)) => can_come(state, step, self.surroundings),
            _ => true,
        }
    }
}

/// Traces the story's request with nothing broken: its steps, in order.
///
/// A connection that a worker opens only now, and keeps, begins with steps that no later request
/// has; so it is traced again, on a connection that was there. A target that opens one for each
/// request does not keep it.
pub(super) async fn trace_steps(
    world: &mut World<'_>,
    control: &Control,
    story: Story,
) -> Result<Vec<Step>, EnvironmentError> {
    let mut round = 0;
    loop {
        round += 1;
        let before = open_sessions(control);
        let name = format!("trace-{story}-{round}");
        let records = trace(world, control, story, &name).await?;
        let after = open_sessions(control);
        let opened: Vec<_> = after.difference(&before).collect();
        let is_cold = |record: &Record| opened.contains(&&record.step.id.session);
        if round < pool::LARGEST && records.iter().any(is_cold) {
            continue;
        }
        let steps = records.into_iter().map(|record| record.step);
        return Ok(steps.filter(|step| step.kind.runs()).collect());
    }
}

async fn trace(
    world: &mut World<'_>,
    control: &Control,
    story: Story,
    name: &str,
) -> Result<Vec<Record>, EnvironmentError> {
    world.reset(shop::rows(story)).await?;
    let request = shop::chosen(world.capabilities(), name);
    if shop::has_come_before(story) {
        send(world, request.clone()).await?;
    }
    come_to_rest(world, control).await?;
    let recording = Recording::new();
    control.set_trace(Some(recording.clone()));
    send(world, request).await?;
    come_to_rest(world, control).await?;
    control.set_trace(None);
    Ok(recording.take())
}

/// Sends one request alone and waits for its answer.
async fn send(world: &World<'_>, request: Request) -> Result<Vec<Operation>, EnvironmentError> {
    let clients = world.connect_all(1).await?;
    Ok(crowd::release(clients, vec![request], world.clock()).await)
}

/// Waits until the target has ended its transactions: what it still does once it has answered a
/// request belongs to that request, and not to the next.
pub(super) async fn come_to_rest(
    world: &World<'_>,
    control: &Control,
) -> Result<(), EnvironmentError> {
    world.inspector().wait_for_rest().await?;
    wait_for_replies(control).await;
    Ok(())
}

/// Waits until the proxy has every reply that the server has given, for [`REST_BOUND`] at most.
async fn wait_for_replies(control: &Control) {
    let deadline = Instant::now() + REST_BOUND;
    let awaits_reply = |session: &SessionInfo| session.step.is_some();
    while control.sessions().iter().any(awaits_reply) && Instant::now() < deadline {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
