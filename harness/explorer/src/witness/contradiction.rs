//! What cannot be in a witness that was written by this program, and so cannot be run.

use std::collections::BTreeSet;

use rowlock_core::program::Program;

use super::Witness;
use crate::schedule::{Choice, RequestIndex};
use crate::transcript::Event;

/// The first thing that is wrong, with the field that it is in.
pub(super) fn of<P: Program>(witness: &Witness<P>) -> Option<String> {
    miscounted(witness)
        .or_else(|| witness.program.contradiction())
        .or_else(|| misnamed(witness))
}

fn miscounted<P: Program>(witness: &Witness<P>) -> Option<String> {
    let requests = witness.program.call_count();
    if requests == 0 {
        return Some("it has no requests".into());
    }
    if witness.answers.len() != requests {
        let answers = witness.answers.len();
        return Some(format!("it has {requests} requests and {answers} answers"));
    }
    let choices = &witness.schedule.0;
    let chosen = choices.iter().flat_map(|choice| choice.requests());
    let ran = witness.transcript.events.iter().flat_map(requests_of);
    if let Some(request) = chosen.chain(ran).find(|request| request.0 >= requests) {
        let number = request.0;
        return Some(format!(
            "it names request {number} from 0, and has {requests} requests"
        ));
    }
    let twice = |choice: &Choice| matches!(choice, Choice::Together(one, other) if one == other);
    let at = choices.iter().position(twice)?;
    let request = choices[at].requests().next()?.0;
    Some(format!(
        "schedule[{at}] delivers request {request} twice at once"
    ))
}

fn misnamed<P: Program>(witness: &Witness<P>) -> Option<String> {
    if witness.violated.is_empty() {
        return Some("it names no violated invariant".into());
    }
    let names: BTreeSet<_> = witness
        .violated
        .iter()
        .map(|violated| &violated.name)
        .collect();
    (names.len() < witness.violated.len()).then(|| "it names an invariant twice".into())
}

fn requests_of(event: &Event) -> Vec<RequestIndex> {
    match event {
        Event::Deadlocked { cycle } => cycle.clone(),
        Event::Waits { request, by } => by.iter().copied().chain([*request]).collect(),
        other => other.request().into_iter().collect(),
    }
}
