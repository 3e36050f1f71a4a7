//! What cannot be in a witness that was written by this program, and so cannot be run.

use std::collections::BTreeSet;

use super::Witness;
use crate::explorer::schedule::{Choice, RequestIndex};
use crate::explorer::transcript::Event;

/// The first thing that is wrong, with the field that it is in.
pub(super) fn of(witness: &Witness) -> Option<String> {
    miscounted(witness)
        .or_else(|| unsendable(witness))
        .or_else(|| negative(witness))
        .or_else(|| misnamed(witness))
}

fn miscounted(witness: &Witness) -> Option<String> {
    let requests = witness.program.requests.len();
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

/// A key must arrive as it is written, so not even blanks at its ends can be told.
fn unsendable(witness: &Witness) -> Option<String> {
    let requests = witness.program.requests.iter().enumerate();
    let mut keys = requests.filter_map(|(at, request)| Some((at, request.key.as_ref()?)));
    let is_plain = |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    let (at, key) = keys.find(|(_, key)| !is_plain(key))?;
    Some(format!(
        "program.requests[{at}].key {key:?} cannot be sent as an Idempotency-Key: it must be \
         visible ASCII characters"
    ))
}

/// Rows that the schema forbids.
fn negative(witness: &Witness) -> Option<String> {
    let shop = &witness.program.initial;
    let items = shop.items.iter().flat_map(|(id, item)| {
        let field = |name: &str| format!("program.initial.items.{id}.{name}");
        [(field("price"), item.price.0), (field("stock"), item.stock)]
    });
    let wallets = shop.wallets.iter();
    let wallets = wallets.map(|(id, balance)| (format!("program.initial.wallets.{id}"), balance.0));
    let (field, value) = items.chain(wallets).find(|(_, value)| *value < 0)?;
    Some(format!("{field} is {value}, and must not be below 0"))
}

fn misnamed(witness: &Witness) -> Option<String> {
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
