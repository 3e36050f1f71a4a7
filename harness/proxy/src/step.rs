//! What a target sends in one go, and what comes back: the terms of trace and gate.
//!
//! A step is a simple Query, or an extended-protocol batch up to its Sync. A batch that its sender
//! cuts with Flush is a step up to that Flush: the sender waits for an answer there, so that is
//! what it sent in one go, and its reply ends when each of its messages is answered. COPY data
//! belongs to the step that began the copy. Only data here; nothing is decided.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Numbers the connections of one proxy from 1, in the order in which they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// Names one step of one session; steps count from 0, which is the start-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepId {
    /// The connection on which the step came.
    pub session: SessionId,
    /// Its place among that connection's steps.
    #[serde(rename = "step")]
    pub number: u64,
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.session, self.number)
    }
}

/// What a step is for, by the messages in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// The start-up packet; its reply is all up to the first ReadyForQuery, passwords included.
    Startup,
    /// A simple Query.
    Query,
    /// An extended-protocol batch with at least one Execute.
    Execute,
    /// An extended-protocol batch without Execute: Parse, Bind, Describe and Close run nothing.
    Prepare,
    /// A Sync alone.
    Sync,
    /// A function call by the protocol's old message for it.
    Call,
    /// A CancelRequest, which comes on a connection of its own.
    Cancel,
    /// A statement that the harness put into the session before a step.
    Injected,
}

impl StepKind {
    /// Whether the step runs something in the database on the target's behalf.
    pub fn runs(self) -> bool {
        matches!(self, Self::Query | Self::Execute | Self::Call)
    }
}

/// Where a session stands, as ReadyForQuery says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TransactionState {
    /// Outside a transaction.
    #[serde(rename = "I")]
    Idle,
    /// In a transaction.
    #[serde(rename = "T")]
    Open,
    /// In a transaction that failed and waits for its ROLLBACK.
    #[serde(rename = "E")]
    Failed,
}

impl TransactionState {
    /// The state that ReadyForQuery's status byte names, or nothing for a byte that names none.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'I' => Some(Self::Idle),
            b'T' => Some(Self::Open),
            b'E' => Some(Self::Failed),
            _ => None,
        }
    }

    /// ReadyForQuery's status byte for this state.
    pub fn as_byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::Open => b'T',
            Self::Failed => b'E',
        }
    }
}

impl fmt::Display for TransactionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", char::from(self.as_byte()))
    }
}

/// A value as text; `None` is SQL's NULL. Unknown binary types are in hexadecimal.
pub type Value = Option<String>;

/// One statement that a step runs, or, where it runs none, prepares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The SQL, a prepared statement's name resolved to its text.
    pub sql: String,
    /// The bound parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Value>,
}

/// A step as it came from the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The step's name.
    #[serde(flatten)]
    pub id: StepId,
    /// The server's process for this session; unknown until the start-up is answered.
    pub pid: Option<i32>,
    /// Number of the transaction within the session, from 1; an implicit one counts too.
    pub transaction: u64,
    /// What the step is for.
    pub kind: StepKind,
    /// Where the session stood before the step; unknown during start-up, and from a step that ran
    /// something and was cut with Flush to the next ReadyForQuery.
    pub state_before: Option<TransactionState>,
    /// What it runs, in order.
    pub statements: Vec<Statement>,
}

/// What one statement brought.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementResult {
    /// Names of the columns, where they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// How many rows came.
    pub rows: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_rows: Vec<Vec<Value>>,
    /// The command tag, such as `UPDATE 1`; absent if the statement failed or its portal was
    /// suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// A digest of all rows as they came, where a gate had the reply kept and each could be read
    /// whole; of use in the same process only.
    #[serde(skip)]
    pub digest: Option<u64>,
}

/// An ErrorResponse of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorResponse {
    /// Five characters of the SQL standard and PostgreSQL's appendix A.
    pub sqlstate: String,
    /// `ERROR`, `FATAL` or `PANIC`.
    pub severity: String,
    /// The primary message.
    pub message: String,
}

/// How a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyEnd {
    /// With ReadyForQuery and the state in it.
    Ready(TransactionState),
    /// With the last answer to a batch that was cut with Flush.
    Flushed,
    /// There is none: an earlier step failed, and the server skips all until the Sync.
    Skipped,
    /// The connection ended before the reply did.
    Cut,
    /// The step was never given to the server.
    NotSent,
    /// There is none by its nature: a CancelRequest.
    Unanswered,
}

/// What came back for a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// One for each statement that brought something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<StatementResult>,
    /// The error, if the step failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorResponse>,
    /// How it ended.
    pub end: ReplyEnd,
}

impl Reply {
    /// A reply without content.
    pub fn empty(end: ReplyEnd) -> Self {
        Self {
            results: Vec::new(),
            error: None,
            end,
        }
    }

    /// Where the session stands after the reply, if it says so.
    pub fn state(&self) -> Option<TransactionState> {
        match self.end {
            ReplyEnd::Ready(state) => Some(state),
            _ => None,
        }
    }
}
