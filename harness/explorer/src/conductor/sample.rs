//! Steps and replies for tests.

use rowlock_proxy::{
    Reply, ReplyEnd, SessionId, Statement, Step, StepId, StepKind, TransactionState,
};

/// A simple query outside a transaction; its server process is 100 and the session's number.
pub(crate) fn step(session: u64, number: u64, sql: &str) -> Step {
    let session_id = SessionId(session);
    Step {
        id: StepId {
            session: session_id,
            number,
        },
        pid: i32::try_from(100 + session).ok(),
        transaction: 1,
        kind: StepKind::Query,
        state_before: Some(TransactionState::Idle),
        statements: vec![Statement {
            sql: sql.to_owned(),
            parameters: Vec::new(),
        }],
    }
}

/// An empty reply, after which the session is idle.
pub(crate) fn reply() -> Reply {
    reply_of(ReplyEnd::Ready(TransactionState::Idle))
}

/// An empty reply that ends so.
pub(crate) fn reply_of(end: ReplyEnd) -> Reply {
    Reply::empty(end)
}
