//! What a target does when nothing is broken: the steps of a story, as its own traces show them.
//!
//! A story is traced several times, and what comes every time is its steps. A driver may send
//! something of its own only now and then (psycopg 3 its `DEALLOCATE ALL`, after about every sixth
//! rollback): that is named, and not broken.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::place::Place;
use super::pool::{self, open_sessions};
use super::raisable::{Surroundings, can_come};
use super::steps::{common, shape, sql};
use super::stories::Stories;
use super::{Case, Fault};
use crate::database::REST_BOUND;
use crate::environment::EnvironmentError;
use rowlock_proxy::{Control, Record, Recording, SessionInfo, Step};

/// How often a condition is asked for while it is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// How often a story is traced.
const TRACES: usize = 8;

/// What a target does when nothing is broken.
#[derive(Debug, Clone)]
pub(super) struct Baseline {
    /// Its steps, in order.
    pub(super) steps: Vec<Step>,
    /// What comes only now and then: its SQL, by its shape.
    pub(super) sporadic: BTreeMap<String, String>,
    /// How many requests hold a connection at once; none where that is not measured.
    pub(super) pool_size: Option<usize>,
    /// What decides beside them which errors can come.
    pub(super) surroundings: Surroundings,
}

impl Baseline {
    /// Of a target of which nothing is known.
    pub(super) const UNKNOWN: Baseline = Baseline {
        steps: Vec::new(),
        sporadic: BTreeMap::new(),
        pool_size: None,
        surroundings: Surroundings::UNKNOWN,
    };

    /// The step that `case` breaks, if it was seen.
    pub(super) fn step<T>(&self, case: &Case<T>) -> Option<&Step> {
        self.steps.get(case.step.checked_sub(1)?)
    }

    /// Whether PostgreSQL can do what `case` says; a step that was not seen may be any.
    pub(super) fn allows<T>(&self, case: &Case<T>) -> bool {
        match (case.fault, self.step(case)) {
            (Fault::Error(state), Some(step)) => can_come(state, step, self.surroundings),
            _ => true,
        }
    }
}

/// The steps of a story, in order, and what comes only now and then: its SQL, by its shape.
pub(super) type Traced = (Vec<Step>, BTreeMap<String, String>);

/// Traces the story's request with nothing broken, again and again.
pub(super) async fn trace_steps<S: Stories>(
    place: &Place<'_, S>,
    story: S::Name,
) -> Result<Traced, EnvironmentError> {
    let mut traces: Vec<Vec<Step>> = Vec::new();
    let mut unusual = None;
    let mut round = 0;
    while traces.len() < TRACES && round < TRACES + pool::LARGEST {
        round += 1;
        let (steps, is_unusual) = trace(place, story, &format!("trace-{story}-{round}")).await?;
        match is_unusual {
            true => unusual = Some(steps),
            false => traces.push(steps),
        }
        // It opens one for each request, or never answers otherwise.
        if traces.is_empty() && round == pool::LARGEST {
            traces.extend(unusual.take());
            break;
        }
    }
    let mut traces_left = traces.iter();
    let first = traces_left.next().cloned().unwrap_or_default();
    let steps = traces_left.fold(first, |steps, trace| common(&steps, trace));
    let mut sporadic = BTreeMap::new();
    for trace in &traces {
        let mut wanted = steps.iter().map(shape).peekable();
        for step in trace {
            let shape = shape(step);
            match wanted.peek() == Some(&shape) {
                true => drop(wanted.next()),
                false => drop(sporadic.insert(shape, sql(step))),
            }
        }
    }
    Ok((steps, sporadic))
}

/// The story's steps, and whether they are not the usual ones: it was answered otherwise than it is
/// where nothing is broken, or a connection was opened only for it and kept.
///
/// A connection that a worker opens only now, and keeps, begins with steps that no later request
/// has; so it is traced again, on a connection that was there. A target that opens one for each
/// request does not keep it.
async fn trace<S: Stories>(
    place: &Place<'_, S>,
    story: S::Name,
    name: &str,
) -> Result<(Vec<Step>, bool), EnvironmentError> {
    let before = open_sessions(place.control());
    let (records, is_answered) = record(place, story, name).await?;
    let after = open_sessions(place.control());
    let opened: Vec<_> = after.difference(&before).collect();
    let is_cold = |record: &Record| opened.contains(&&record.step.id.session);
    let is_unusual = !is_answered || records.iter().any(is_cold);
    let steps = records.into_iter().map(|record| record.step);
    Ok((steps.filter(|step| step.kind.runs()).collect(), is_unusual))
}

async fn record<S: Stories>(
    place: &Place<'_, S>,
    story: S::Name,
    name: &str,
) -> Result<(Vec<Record>, bool), EnvironmentError> {
    let control = place.control();
    place.reset(story).await?;
    let request = place.stories().chosen(place.known(), story, name);
    if place.stories().has_come_before(story) {
        place.send_alone(request.clone()).await?;
    }
    come_to_rest(place).await?;
    let recording = Recording::new();
    control.set_trace(Some(recording.clone()));
    let answer = place.send_alone(request).await?;
    come_to_rest(place).await?;
    control.set_trace(None);
    let case = Case {
        story,
        rival: false,
        step: 0,
        fault: Fault::TerminateConnection,
    };
    let is_answered = place
        .stories()
        .is_answer(case, place.on_conflict(), &answer);
    Ok((recording.take(), is_answered))
}

/// Waits until the target has ended its transactions: what it still does once it has answered a
/// request belongs to that request, and not to the next.
pub(super) async fn come_to_rest<S: Stories>(place: &Place<'_, S>) -> Result<(), EnvironmentError> {
    place.inspector().wait_for_rest().await?;
    wait_for_replies(place.control()).await;
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
