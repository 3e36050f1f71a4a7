//! The connections of a target: how many requests hold one at once, and whether it is still so.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::time::timeout;

use super::place::Place;
use super::stories::Stories;
use crate::environment::EnvironmentError;
use rowlock_core::finding::{Finding, Outcome};
use rowlock_proxy::gate::{Event, channel};
use rowlock_proxy::{Control, SessionId};

/// How long one look waits for the next connection to show.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long it is waited for the connections of a target that is never idle.
const HELD_BOUND: Duration = Duration::from_secs(5);

/// So often it is looked at a pool that does not show whole, however long a look takes.
const LEAST_LOOKS: usize = 3;

/// A target whose pool is larger is not measured.
pub(super) const LARGEST: usize = 32;

/// The sessions that are open.
pub(super) fn open_sessions(control: &Control) -> BTreeSet<SessionId> {
    let sessions = control.sessions().into_iter();
    sessions.map(|session| session.id).collect()
}

/// Counts the connections that requests can hold at once, with nothing broken; none where that
/// is not always the same.
pub(super) async fn measure<S: Stories>(
    place: &Place<'_, S>,
) -> Result<Option<usize>, EnvironmentError> {
    /// A size that was found so often is the pool's, and no accident of which worker accepted.
    const LOOKS: usize = 4;
    let mut sizes = BTreeSet::new();
    for _ in 0..LOOKS {
        match hold_connections(place, LARGEST).await {
            Ok(held) => drop(sizes.insert(held.len())),
            // So many cannot even connect.
            Err(EnvironmentError::Connect { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let steady = sizes.len() == 1;
    let size = sizes.into_iter().find(|size| (1..LARGEST).contains(size));
    Ok(size.filter(|_| steady))
}

/// Lets more requests come at once than a pool has connections, and holds the first step of each:
/// the connections that hold a step, once they are `enough`, or none has come for a while from a
/// target that has nothing to do. Many requests, since replicas and workers do not share them
/// evenly.
async fn hold_connections<S: Stories>(
    place: &Place<'_, S>,
    enough: usize,
) -> Result<BTreeSet<SessionId>, EnvironmentError> {
    let control = place.control();
    let clients = place.rig().connect_all(LARGEST).await?;
    let (gate, mut events) = channel(|step| step.kind.runs());
    control.set_gate(Some(Arc::new(gate)));
    let requests = clients.into_iter();
    let requests = requests.map(|client| place.send(place.stories().one_of_many(), client));
    let answers = join_all(requests.collect::<Vec<_>>());
    let is_busy = place.rig().activity();
    let deadline = Instant::now() + HELD_BOUND;
    let mut sessions = BTreeSet::new();
    while sessions.len() < enough {
        match timeout(PATIENCE, events.recv()).await {
            Ok(Some(Event::Request(step))) => drop(sessions.insert(step.id.session)),
            Ok(Some(_)) => {}
            Err(_) if is_busy() && Instant::now() < deadline => {}
            Ok(None) | Err(_) => break,
        }
    }
    drop(events);
    control.set_gate(None);
    // Their answers say nothing here; they are waited for so that nothing is under way after.
    answers.await;
    Ok(sessions)
}

/// Whether `size` requests hold a connection at once before `deadline`.
pub(super) async fn judge<S: Stories>(
    place: &Place<'_, S>,
    size: Option<usize>,
    deadline: Instant,
) -> Finding {
    let name = "pool-is-whole";
    let statement = "as many requests as before hold a connection at once, within 5 s";
    let Some(size) = size else {
        let mut finding = Finding::new(name, statement, Vec::new());
        let why = format!("the target's pool shows no steady size below {LARGEST}");
        finding.outcome = Outcome::NotApplicable(why);
        return finding;
    };
    // A pool may find out only now that a connection is dead: that costs a request, and the next
    // look finds another in its place.
    let mut found = BTreeSet::new();
    let mut refusal = None;
    let mut looks = 0;
    while found.len() < size && (looks < LEAST_LOOKS || Instant::now() < deadline) {
        looks += 1;
        // What several looks find counts together, since workers do not accept evenly; but not
        // what is gone again.
        let open = open_sessions(place.control());
        found.retain(|session| open.contains(session));
        match hold_connections(place, size).await {
            Ok(held) => found.extend(held),
            Err(error) => refusal = Some(error),
        }
    }
    let violations = match (found.len() >= size, refusal) {
        (true, _) => Vec::new(),
        (false, None) => vec![format!("{size} connections before, {} after", found.len())],
        (false, Some(error)) => vec![error.to_string()],
    };
    Finding::new(name, statement, violations)
}
