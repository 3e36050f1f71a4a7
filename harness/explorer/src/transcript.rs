//! Transcripts: what ran, in order, free of everything that two runs of one schedule need not share.
//!
//! No times, no process ids, no connections. A request has at most one step under way, so what
//! follows a [`Event::Delivered`] of the same request belongs to that step.

use rowlock_proxy::{Reply, Statement};
use serde::{Deserialize, Serialize};

use super::schedule::RequestIndex;

/// What ran, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Transcript {
    /// The events, as they happened. Their places are the clock of the run's history.
    pub events: Vec<Event>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The request was sent to the target.
    Invoked {
        /// Which one.
        request: RequestIndex,
    },
    /// A step that touches nothing shared, such as BEGIN, passed without a choice.
    Passed {
        /// Whose step.
        request: RequestIndex,
        /// What it runs.
        statements: Vec<Statement>,
    },
    /// A choice delivered the request's step.
    Delivered {
        /// Whose step.
        request: RequestIndex,
        /// What it runs.
        statements: Vec<Statement>,
    },
    /// The delivered step waits for a lock; said again when it waits for others.
    Waits {
        /// Whose step.
        request: RequestIndex,
        /// The requests that are in its way (`pg_blocking_pids`); empty where it is none of them.
        by: Vec<RequestIndex>,
    },
    /// The delivered step was answered, and the application has the answer.
    Replied {
        /// Whose step.
        request: RequestIndex,
        /// What came back.
        reply: Reply,
    },
    /// Nothing came of the request for a while: it waits inside the application.
    Stalled {
        /// Which one.
        request: RequestIndex,
    },
    /// The requests wait for each other in a circle, which the harness then broke.
    Deadlocked {
        /// The circle: each waits for the next, and the last for the first.
        cycle: Vec<RequestIndex>,
    },
    /// The target answered the request, and its transaction is over.
    Answered {
        /// Which one.
        request: RequestIndex,
    },
}

impl Event {
    /// The request that the event is about; a deadlock is about several.
    pub fn request(&self) -> Option<RequestIndex> {
        match self {
            Event::Invoked { request }
            | Event::Passed { request, .. }
            | Event::Delivered { request, .. }
            | Event::Waits { request, .. }
            | Event::Replied { request, .. }
            | Event::Stalled { request }
            | Event::Answered { request } => Some(*request),
            Event::Deadlocked { .. } => None,
        }
    }
}
