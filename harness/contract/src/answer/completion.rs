//! How a call ended, as far as its client was told.

use std::fmt;

use rowlock_core::answer::{Ending, Unknown};
use serde::{Deserialize, Serialize};

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// It happened.
    Ok,
    /// A rule of the business forbade it; nothing happened.
    Refused,
    /// It gave way to another call; nothing happened.
    Conflict,
    /// It gave way to load; nothing happened.
    Busy,
    /// The call itself was wrong, which says something of the contract; nothing happened.
    Invalid,
    /// It may have happened or not.
    Unknown,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Completion {
    /// As every service's answers have it in common.
    pub ending: Ending,
    /// As the contract says.
    pub means: Meaning,
    /// Why it was refused, as far as the contract knows.
    pub reason: Option<String>,
}

impl Completion {
    /// One with an ending that fits its meaning; `unknown` is why, where it is unknown.
    pub fn of(means: Meaning, reason: Option<String>, unknown: Unknown) -> Self {
        let ending = match means {
            Meaning::Ok => Ending::Ok,
            Meaning::Refused | Meaning::Invalid => Ending::Refused,
            Meaning::Conflict | Meaning::Busy => Ending::GaveWay,
            Meaning::Unknown => Ending::Unknown(unknown),
        };
        Self {
            ending,
            means,
            reason,
        }
    }
}

impl Meaning {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Meaning::Ok,
        Meaning::Refused,
        Meaning::Conflict,
        Meaning::Busy,
        Meaning::Invalid,
        Meaning::Unknown,
    ];

    /// The word for it, in a contract and in a report.
    pub fn word(self) -> &'static str {
        match self {
            Meaning::Ok => "ok",
            Meaning::Refused => "refused",
            Meaning::Conflict => "conflict",
            Meaning::Busy => "busy",
            Meaning::Invalid => "invalid",
            Meaning::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// `refused: sold_out`.
impl fmt::Display for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.means.fmt(f)?;
        if let Ending::Unknown(why) = self.ending {
            write!(f, " ({why})")?;
        }
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}
