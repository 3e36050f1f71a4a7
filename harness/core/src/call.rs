//! Calls and replies: what goes to a service over HTTP, and what comes back.

use crate::answer::Unknown;

/// One HTTP request, with all its variables filled in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Call {
    /// What a report calls it.
    pub label: String,
    /// The HTTP method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers beside `host` and `content-length`, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A whole HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers as they came, names in lower case; one that is no UTF-8 is left out.
    pub headers: Vec<(String, String)>,
    /// The body, or its beginning.
    pub body: Vec<u8>,
}

/// Why a call brought no whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoReply {
    /// It never left this side: nothing happened.
    NotSent,
    /// It was sent, and what became of it is unknown.
    Unknown(Unknown),
}
