//! What answers mean: ordered rules, the first that fits has its say, and defaults after them.

mod completion;
mod condition;

pub use completion::{Completion, Meaning};
pub use condition::{Condition, JsonType, Operator, StatusSet, Subject};
use rowlock_core::answer::Unknown;
use rowlock_core::call::{NoReply, Reply};

use crate::call::CallSpec;
use crate::source::Source;

/// One rule: an answer that fits all its conditions means what it says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    /// The statuses that it is for; all if there is none.
    pub status: Option<StatusSet>,
    /// What else must be so.
    pub conditions: Vec<Condition>,
    /// What the answer means.
    pub means: Meaning,
    /// Why it was refused.
    pub reason: Option<Reason>,
    /// The line of the contract that it begins on.
    pub line: usize,
}

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reason {
    /// What the contract calls it.
    Named(String),
    /// What the answer says.
    Found(Source),
}

impl Rule {
    /// Whether it is for this answer.
    pub fn fits(&self, reply: &Reply) -> bool {
        let has_status = |statuses: &StatusSet| statuses.has(reply.status);
        self.status.as_ref().is_none_or(has_status)
            && self
                .conditions
                .iter()
                .all(|condition| condition.holds(reply))
    }
}

impl Reason {
    fn of(&self, reply: &Reply) -> Option<String> {
        match self {
            Reason::Named(name) => Some(name.clone()),
            Reason::Found(source) => source.find(reply).map(|value| value.to_string()),
        }
    }
}

/// What the answer to a call means.
pub fn classify(call: &CallSpec, answer: Result<&Reply, NoReply>) -> Completion {
    let reply = match answer {
        Ok(reply) => reply,
        Err(NoReply::NotSent) => return Completion::of(Meaning::Busy, None, Unknown::ServerError),
        Err(NoReply::Unknown(unknown)) => return Completion::of(Meaning::Unknown, None, unknown),
    };
    let (meaning, reason) = match call.rules.iter().find(|rule| rule.fits(reply)) {
        Some(rule) => {
            let reason = rule.reason.as_ref().and_then(|reason| reason.of(reply));
            (rule.means, reason)
        }
        None => (by_default(reply.status), None),
    };
    Completion::of(meaning, reason, Unknown::ServerError)
}

/// What a status means where no rule has its say.
pub fn by_default(status: u16) -> Meaning {
    match status {
        200..=399 => Meaning::Ok,
        409 | 423 | 429 => Meaning::Conflict,
        400..=499 => Meaning::Refused,
        503 => Meaning::Busy,
        _ => Meaning::Unknown,
    }
}
