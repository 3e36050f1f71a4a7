//! What ran: the choices of one run of a program, and everything that came of them.
//!
//! This is all that a strategy learns. What was answered, which rows were left and
//! whether that was right is the `Assessment`'s, and steers no search.

use std::collections::BTreeMap;
use std::time::Duration;

use super::control::Control;
use super::footprint::Footprint;
use super::schedule::{Choice, RequestIndex, Schedule};
use super::transcript::{Event, Transcript};

/// One choice that was made, and what a strategy may want to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The choice.
    pub choice: Choice,
    /// The requests whose steps were held at that moment, each with what its step can touch.
    pub enabled: Vec<(RequestIndex, Footprint)>,
    /// All that ran in consequence: the delivered step, and the waiting ones that it set free.
    pub touched: Footprint,
    /// The requests that went on: those delivered, and those set free or woken.
    pub moved: Vec<RequestIndex>,
}

/// One finished run, as it ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Execution {
    /// Every choice that was made.
    pub schedule: Schedule,
    /// The same, as strategies see them.
    pub transitions: Vec<Transition>,
    /// Every step with its result, in order.
    pub transcript: Transcript,
    /// Whether the run was under control.
    pub control: Control,
    /// Steps that belonged to no request and passed, by their SQL.
    pub uncontrolled: BTreeMap<String, u64>,
    /// What the requests left behind in the database.
    pub leftovers: Leftovers,
    /// Limits of the target's own that may have been met because steps were held.
    pub limits: Vec<Limit>,
}

/// A limit of the target's own that may have been met because steps were held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// PostgreSQL gave up a statement of the request, or its session.
    GivenUp {
        /// Whose.
        request: RequestIndex,
        /// Why, as a code.
        sqlstate: String,
        /// Why, in PostgreSQL's words.
        message: String,
    },
    /// The request's connection closed while a step on it was held.
    Closed(RequestIndex),
    /// The request was answered this long after it was given anything to go on with, while a step of
    /// another was held or waited.
    Silent {
        /// Which request.
        request: RequestIndex,
        /// How long.
        after: Duration,
    },
    /// The request was answered after its own steps were held this long altogether.
    Held {
        /// Which request.
        request: RequestIndex,
        /// How long.
        altogether: Duration,
    },
}

impl Limit {
    /// Whose limit it is.
    pub fn request(&self) -> RequestIndex {
        match self {
            Limit::GivenUp { request, .. } | Limit::Closed(request) => *request,
            Limit::Silent { request, .. } | Limit::Held { request, .. } => *request,
        }
    }
}

/// What requests that were answered left behind in their sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Requests that were answered while their transaction was open.
    pub open_transactions: Vec<RequestIndex>,
    /// Locks that their sessions still held or awaited, in words.
    pub locks: Vec<String>,
}

impl Execution {
    /// Whether nothing is under way any more, no transaction open and no lock left, that the next
    /// run in the same place would meet.
    pub fn is_at_rest(&self) -> bool {
        self.control.is_kept() && self.leftovers.is_empty()
    }

    /// The first deadlock: each of these requests waited for the next, and the last for the first.
    pub fn deadlock(&self) -> Option<&[RequestIndex]> {
        let mut events = self.transcript.events.iter();
        events.find_map(|event| match event {
            Event::Deadlocked { cycle } => Some(cycle.as_slice()),
            _ => None,
        })
    }

    /// Whether a request waited inside the application.
    pub fn has_stalled(&self) -> bool {
        let is_stall = |event: &Event| matches!(event, Event::Stalled { .. });
        self.transcript.events.iter().any(is_stall)
    }
}

impl Leftovers {
    /// Whether nothing was left.
    pub fn is_empty(&self) -> bool {
        self.open_transactions.is_empty() && self.locks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::control::LostControl;
    use super::*;

    #[test]
    fn a_run_is_at_rest_where_control_was_kept_and_nothing_is_left() {
        let mut execution = Execution::default();
        assert!(execution.is_at_rest());
        execution.leftovers.locks = vec!["a session holds a lock".into()];
        assert!(!execution.is_at_rest());
        execution.leftovers = Leftovers {
            open_transactions: vec![RequestIndex(0)],
            locks: Vec::new(),
        };
        assert!(!execution.is_at_rest());
        execution.leftovers = Leftovers::default();
        execution.control = Control::Lost(LostControl::AllWait);
        assert!(!execution.is_at_rest());
    }

    #[test]
    fn the_first_circle_is_the_deadlock() {
        let circle = |first| Event::Deadlocked {
            cycle: vec![RequestIndex(first), RequestIndex(2)],
        };
        let mut execution = Execution::default();
        assert_eq!(execution.deadlock(), None);
        execution.transcript.events = vec![circle(1), circle(0)];
        assert_eq!(
            execution.deadlock(),
            Some([RequestIndex(1), RequestIndex(2)].as_slice())
        );
    }
}
