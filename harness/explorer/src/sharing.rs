//! Which steps are of several requests: a service may do in one transaction what several have asked
//! for.
//!
//! Nothing that is sent says so, but the answers do. A request that waits inside the
//! application from before a transaction's first step, and is answered as soon as its last reply is
//! handed out, was waiting for that transaction: no other reply has reached the application meanwhile. It has
//! the steps together with the request in whose name the transaction ran. What it waited for in
//! vain, and then did itself, is not its own.

use std::collections::BTreeMap;

use rowlock_proxy::TransactionState;

use super::schedule::RequestIndex;
use super::transcript::{Event, Transcript};

/// For the places of a transcript the requests that have the step there beside its sender.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sharing(BTreeMap<usize, Vec<RequestIndex>>);

impl Sharing {
    /// Reads it off a transcript.
    pub fn of(transcript: &Transcript) -> Sharing {
        let mut reading = Reading::default();
        for (place, event) in transcript.events.iter().enumerate() {
            reading.add(place, event);
        }
        reading.found
    }

    /// The requests beside its own of the event in this place, in ascending order.
    pub fn beside(&self, place: usize) -> &[RequestIndex] {
        self.0.get(&place).map_or(&[], Vec::as_slice)
    }
}

#[derive(Debug, Default)]
struct Reading {
    found: Sharing,
    /// Where the steps of each request's transaction are.
    open: BTreeMap<RequestIndex, Vec<usize>>,
    /// Those that wait inside the application, and since where.
    waiting: BTreeMap<RequestIndex, usize>,
    /// The transaction whose end was the last thing that reached the application.
    ended: Option<Vec<usize>>,
}

impl Reading {
    fn add(&mut self, place: usize, event: &Event) {
        match event {
            Event::Stalled { request } => {
                self.waiting.insert(*request, place);
            }
            Event::Passed { request, .. }
            | Event::Delivered { request, .. }
            | Event::Waits { request, .. } => {
                // It goes on by itself.
                self.waiting.remove(request);
                self.open.entry(*request).or_default().push(place);
            }
            Event::Replied { request, reply } => {
                let steps = self.open.entry(*request).or_default();
                steps.push(place);
                self.ended = match reply.state() {
                    Some(TransactionState::Idle) => self.open.remove(request),
                    _ => None,
                };
            }
            Event::Answered { request } => self.answer(*request),
            Event::Invoked { .. } | Event::Deadlocked { .. } => {}
        }
    }

    fn answer(&mut self, request: RequestIndex) {
        let Some(since) = self.waiting.remove(&request) else {
            return;
        };
        let steps = self.ended.as_deref().unwrap_or_default();
        if steps.first().is_some_and(|first| since < *first) {
            for place in steps {
                let beside = self.found.0.entry(*place).or_default();
                beside.push(request);
                beside.sort_unstable();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rowlock_proxy::ReplyEnd;

    use super::*;
    use crate::conductor::sample;

    const A: RequestIndex = RequestIndex(0);
    const B: RequestIndex = RequestIndex(1);
    const C: RequestIndex = RequestIndex(2);

    fn stalled(request: RequestIndex) -> Event {
        Event::Stalled { request }
    }

    fn answered(request: RequestIndex) -> Event {
        Event::Answered { request }
    }

    /// A step and its reply, after which the transaction is in this state.
    fn step(request: RequestIndex, state: TransactionState) -> [Event; 2] {
        let reply = sample::reply_of(ReplyEnd::Ready(state));
        let statements = sample::step(1, 1, "select v from t").statements;
        [
            Event::Delivered {
                request,
                statements,
            },
            Event::Replied { request, reply },
        ]
    }

    /// Two steps of a transaction.
    fn transaction(request: RequestIndex) -> Vec<Event> {
        let begin = step(request, TransactionState::Open);
        let commit = step(request, TransactionState::Idle);
        begin.into_iter().chain(commit).collect()
    }

    /// Where each step is shared, and with whom.
    fn shared(events: Vec<Event>) -> Vec<(usize, Vec<RequestIndex>)> {
        let sharing = Sharing::of(&Transcript { events });
        sharing.0.into_iter().collect()
    }

    #[test]
    fn a_batch_is_of_all_whom_its_end_answers() {
        // A is alone; B and C wait for it, and share the next.
        let mut events = vec![stalled(B), stalled(C)];
        events.extend(transaction(A));
        events.push(answered(A));
        let batch = events.len();
        events.extend(transaction(B));
        events.extend([answered(B), answered(C)]);
        let all = (batch..batch + 4).map(|place| (place, vec![C]));
        assert_eq!(shared(events), all.collect::<Vec<_>>());
    }

    #[test]
    fn who_goes_on_by_himself_has_shared_nothing() {
        let mut events = vec![stalled(B)];
        events.extend(transaction(A));
        events.push(answered(A));
        events.extend(transaction(B));
        events.push(answered(B));
        assert_eq!(shared(events), []);
    }

    #[test]
    fn who_came_to_wait_when_the_transaction_was_under_way_is_not_in_it() {
        let [first, replied] = step(A, TransactionState::Open);
        let mut events = vec![first, replied, stalled(B)];
        events.extend(step(A, TransactionState::Idle));
        events.extend([answered(A), answered(B)]);
        assert_eq!(shared(events), []);
    }

    #[test]
    fn an_answer_that_comes_after_another_reply_says_nothing() {
        let mut events = vec![stalled(C)];
        events.extend(transaction(A));
        events.push(answered(A));
        events.extend(step(B, TransactionState::Open));
        events.push(answered(C));
        assert_eq!(shared(events), []);
    }
}
