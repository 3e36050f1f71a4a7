//! What a client was told, as far as all services' answers have it in common.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One answer to one client, whoever was asked for what.
pub trait Answer {
    /// How it ended.
    fn ending(&self) -> Ending;

    /// One line for a report: who asked for what, and what came back.
    fn describe(&self) -> String;

    /// What came back in a few words: `200: purchased`.
    fn reply(&self) -> String;
}

/// How an operation ended, after Jepsen's `:ok`, `:fail` and `:info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It happened.
    Ok,
    /// It was refused by a rule; nothing happened.
    Refused,
    /// The service gave way to others, or to load; nothing happened.
    GaveWay,
    /// It may have happened or not, and the client cannot know.
    Unknown(Unknown),
}

/// Why the outcome of a request is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// A 5xx other than 503.
    ServerError,
    /// The connection broke between the request and the end of its answer.
    ConnectionLost,
    /// No answer within the client's bound.
    TimedOut,
    /// The client itself hung up, as its scenario says.
    HungUp,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unknown::ServerError => "server error",
            Unknown::ConnectionLost => "connection lost",
            Unknown::TimedOut => "timed out",
            Unknown::HungUp => "hung up",
        })
    }
}
