//! What the proxy's own trace says of a case: whether the fault took place, and whether
//! PostgreSQL broke a deadlock.
//!
//! The target's answers cannot say it: a target may hide the fault, and may invent one.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rowlock_proxy::{Control, Record, Recording, ReplyEnd, SessionId, StepId, TransactionState};

use super::Fault;

/// How long a broken step may take to end, once its request has been answered.
const BOUND: Duration = Duration::from_secs(1);

/// How often the trace is asked for it.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The steps of a case, from its beginning to its end.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    control: &'a Control,
    recording: Arc<Recording>,
    records: Vec<Record>,
}

impl<'a> Evidence<'a> {
    /// Records from now on, until it is dropped.
    pub(super) fn of(control: &'a Control) -> Self {
        let recording = Recording::new();
        control.set_trace(Some(recording.clone()));
        Self {
            control,
            recording,
            records: Vec::new(),
        }
    }

    /// The deadlocks that PostgreSQL has broken, without those that were made up.
    pub(super) fn deadlocks(&mut self) -> i64 {
        self.records.extend(self.recording.take());
        let deadlocks = self
            .records
            .iter()
            .filter(|record| record.replaced_by.is_none() && sqlstate(record) == Some("40P01"));
        deadlocks.count() as i64
    }

    /// The connection of the step that ended last.
    pub(super) fn last_session(&mut self) -> Option<SessionId> {
        self.records.extend(self.recording.take());
        self.records.last().map(|record| record.step.id.session)
    }

    /// What became of `step`; waits until it has ended, for [`BOUND`] at most.
    pub(super) async fn record_of(&mut self, step: StepId) -> Option<&Record> {
        let deadline = Instant::now() + BOUND;
        let place = loop {
            self.records.extend(self.recording.take());
            let mut records = self.records.iter();
            match records.position(|record| record.step.id == step) {
                Some(place) => break place,
                None if Instant::now() >= deadline => return None,
                None => tokio::time::sleep(POLL_INTERVAL).await,
            }
        };
        self.records.get(place)
    }
}

impl Drop for Evidence<'_> {
    fn drop(&mut self) {
        self.control.set_trace(None);
    }
}

fn sqlstate(record: &Record) -> Option<&str> {
    let error = record.reply.error.as_ref()?;
    Some(&error.sqlstate)
}

/// Whether the server has answered the step, be it by an error.
fn is_executed(record: &Record) -> bool {
    matches!(record.reply.end, ReplyEnd::Ready(_) | ReplyEnd::Flushed)
}

/// Whether `record` is of a step that was executed as if it had never been held.
pub(super) fn went_through(record: &Record) -> bool {
    is_executed(record) && record.reply.error.is_none()
}

/// Why a case's fault did not take place as it was meant to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missed {
    /// The request was over before its chosen step.
    NotReached,
    /// Another step stood in its place.
    OtherStep {
        /// Its SQL.
        found: String,
        /// The SQL of the chosen one, when nothing was broken.
        expected: String,
    },
    /// The step to whose reply something was to happen got none.
    NoReply,
    /// What became of the step is not in the trace.
    NotEnded,
    /// The step ended in a way that is not the fault's.
    EndedOtherwise {
        /// The SQLSTATE of its error, if it had one.
        sqlstate: Option<String>,
        /// How its reply ended.
        end: ReplyEnd,
    },
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missed::NotReached => f.write_str("the step was not reached"),
            Missed::OtherStep { found, expected } => write!(
                f,
                "the step is `{found}`, and was `{expected}` when nothing was broken"
            ),
            Missed::NoReply => f.write_str("the step got no reply"),
            Missed::NotEnded => f.write_str("the step has not ended"),
            Missed::EndedOtherwise { sqlstate, end } => {
                let how = match end {
                    ReplyEnd::Ready(_) | ReplyEnd::Flushed => "it was executed",
                    ReplyEnd::Skipped => "the server skipped it",
                    ReplyEnd::Cut => "its connection was lost",
                    ReplyEnd::NotSent => "it was never sent",
                    ReplyEnd::Unanswered => "it has no reply",
                };
                match sqlstate {
                    Some(state) => write!(f, "the step ended with {state} ({how})"),
                    None => write!(f, "the step ended otherwise ({how})"),
                }
            }
        }
    }
}

/// Why `record`, the chosen step's, does not show `fault`, if it does not.
pub(super) fn missed(fault: Fault, record: &Record) -> Option<Missed> {
    let end = record.reply.end;
    let is_lost = matches!(end, ReplyEnd::Cut | ReplyEnd::NotSent);
    let is_ended_by = |state| sqlstate(record).is_some_and(|found| found.starts_with(state));
    let took_place = match fault {
        // In a transaction that has failed before, nothing else can be said (25P02).
        Fault::Error(state) => {
            let has_failed_before = record.step.state_before == Some(TransactionState::Failed);
            let state = if has_failed_before { "" } else { state.code() };
            record.replaced_by.is_some() && is_ended_by(state)
        }
        Fault::DropBefore => end == ReplyEnd::NotSent,
        Fault::DropAfter | Fault::CrashAfter(_) | Fault::ClientAbort => is_executed(record),
        Fault::TerminateRunning => is_ended_by("57P01"),
        // The server may have said so between two steps, to nobody in particular.
        Fault::TerminateIdle | Fault::CrashBefore(_) => is_lost || is_ended_by("57P"),
        Fault::Stall | Fault::TerminateConnection => true,
    };
    (!took_place).then(|| Missed::EndedOtherwise {
        sqlstate: sqlstate(record).map(str::to_owned),
        end,
    })
}

#[cfg(test)]
mod tests {
    use rowlock_proxy::{ErrorResponse, Reply, Step, StepKind};

    use super::super::{Crash, SQL_STATES};
    use super::*;

    fn record(end: ReplyEnd, sqlstate: Option<&str>, replaced_by: Option<&str>) -> Record {
        let error = |sqlstate: &str| ErrorResponse {
            sqlstate: sqlstate.into(),
            ..ErrorResponse::default()
        };
        Record {
            step: Step {
                id: StepId {
                    session: SessionId(1),
                    number: 1,
                },
                pid: None,
                transaction: 1,
                kind: StepKind::Execute,
                state_before: None,
                statements: Vec::new(),
            },
            reply: Reply {
                error: sqlstate.map(error),
                ..Reply::empty(end)
            },
            replaced_by: replaced_by.map(str::to_owned),
            cancels: None,
            invoked_ns: 0,
            sent_ns: 0,
            completed_ns: 0,
        }
    }

    const EXECUTED: ReplyEnd = ReplyEnd::Ready(TransactionState::Open);

    #[test]
    fn a_fault_shows_in_its_own_record_and_in_no_other() {
        let error = Fault::Error(SQL_STATES[0]);
        let state = SQL_STATES[0].code();
        let records = [
            record(EXECUTED, None, None),
            record(EXECUTED, Some(state), Some("do")),
            record(EXECUTED, Some(state), None),
            record(ReplyEnd::NotSent, None, None),
            record(ReplyEnd::Cut, None, None),
            record(ReplyEnd::Cut, Some("57P01"), Some("select")),
        ];
        let shown_in = |fault| {
            let shown = records.iter().map(|record| missed(fault, record).is_none());
            shown.map(u8::from).collect::<Vec<_>>()
        };
        assert_eq!(shown_in(error), [0, 1, 0, 0, 0, 0]);
        assert_eq!(shown_in(Fault::DropBefore), [0, 0, 0, 1, 0, 0]);
        assert_eq!(shown_in(Fault::DropAfter), [1, 1, 1, 0, 0, 0]);
        assert_eq!(shown_in(Fault::ClientAbort), [1, 1, 1, 0, 0, 0]);
        assert_eq!(shown_in(Fault::TerminateRunning), [0, 0, 0, 0, 0, 1]);
        assert_eq!(shown_in(Fault::TerminateIdle), [0, 0, 0, 1, 1, 1]);
        assert_eq!(
            shown_in(Fault::CrashBefore(Crash::Kill)),
            [0, 0, 0, 1, 1, 1]
        );
    }

    #[test]
    fn what_was_found_instead_is_said() {
        let missed = missed(Fault::DropBefore, &record(EXECUTED, Some("42601"), None));
        assert_eq!(
            missed.map(|missed| missed.to_string()).as_deref(),
            Some("the step ended with 42601 (it was executed)")
        );
    }
}
