//! The trace: one record for each step, with its reply and its times.
//!
//! A record is made when the reply is complete, and given to whoever listens.
//! Two forms: a line for people ([`Record`]'s `Display`) and a line of JSON.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::step::{Reply, ReplyEnd, SessionId, Step, StepKind, Value};

/// The longest SQL shown on a line for people, in characters.
const SQL_SHOWN: usize = 200;

/// One step, what came back, and when. Times are nanoseconds since the proxy began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The step.
    #[serde(flatten)]
    pub step: Step,
    /// Its reply.
    #[serde(flatten)]
    pub reply: Reply,
    /// The statement that went to the server in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// The session that a CancelRequest was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancels: Option<SessionId>,
    /// When its first byte came from the target.
    pub invoked_ns: u64,
    /// When it was sent to the server; later than invoked by the time for which it was held.
    pub sent_ns: u64,
    /// When its reply was complete, or it was certain that none would come.
    pub completed_ns: u64,
}

/// Listens to a proxy. Called on the connections' tasks, so it must not wait.
pub trait Trace: Send + Sync {
    /// A step has ended.
    fn record(&self, record: Record);
}

/// Keeps the records in memory.
#[derive(Debug, Default)]
pub struct Recording(Mutex<Vec<Record>>);

impl Recording {
    /// An empty recording, to be given to a proxy and kept.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The records so far, in the order in which their steps ended; they are taken out.
    pub fn take(&self) -> Vec<Record> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Trace for Recording {
    fn record(&self, record: Record) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(record);
    }
}

/// The form of a written trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceForm {
    /// A line for people.
    Human,
    /// JSON Lines.
    Json,
}

/// Writes each record as a line.
#[derive(Debug)]
pub struct TraceWriter<W> {
    form: TraceForm,
    writer: Mutex<W>,
}

impl<W: Write + Send> TraceWriter<W> {
    /// Writes to `writer`; give it a buffered one.
    pub fn new(form: TraceForm, writer: W) -> Self {
        Self {
            form,
            writer: Mutex::new(writer),
        }
    }
}

impl<W: Write + Send> Trace for TraceWriter<W> {
    fn record(&self, record: Record) {
        let line = match self.form {
            TraceForm::Human => record.to_string(),
            TraceForm::Json => serde_json::to_string(&record).expect("a record has only strings"),
        };
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(writer, "{line}") {
            tracing::warn!(%error, "a line of the trace was lost");
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step {
            id,
            pid,
            transaction,
            kind,
            ..
        } = &self.step;
        write!(
            f,
            "{:>12.3} ms  {:<7}",
            milliseconds(self.invoked_ns),
            id.to_string()
        )?;
        match pid {
            Some(pid) => write!(f, " pid {pid:<7} tx {transaction:<4} ")?,
            None => write!(f, " pid {:<7} tx {transaction:<4} ", "?")?,
        }
        self.write_request(f, *kind)?;
        f.write_str("  →")?;
        self.write_reply(f)?;
        write!(
            f,
            "  {:.3} ms",
            milliseconds(self.completed_ns.saturating_sub(self.sent_ns))
        )
    }
}

impl Record {
    fn write_request(&self, f: &mut fmt::Formatter<'_>, kind: StepKind) -> fmt::Result {
        match kind {
            StepKind::Startup => f.write_str("start-up ")?,
            StepKind::Prepare => f.write_str("prepare ")?,
            StepKind::Injected => f.write_str("(injected) ")?,
            StepKind::Sync => f.write_str("sync")?,
            StepKind::Cancel => f.write_str("cancel ")?,
            StepKind::Call => f.write_str("function call")?,
            StepKind::Query | StepKind::Execute => {}
        }
        for (index, statement) in self.step.statements.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}", on_one_line(&statement.sql))?;
            if !statement.parameters.is_empty() {
                write!(f, " [{}]", listed(&statement.parameters))?;
            }
        }
        match &self.replaced_by {
            Some(sql) => write!(f, "  (replaced by {})", on_one_line(sql)),
            None => Ok(()),
        }
    }

    fn write_reply(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for result in &self.reply.results {
            match &result.tag {
                Some(tag) => write!(f, " {tag}")?,
                None => write!(f, " {} rows so far", result.rows)?,
            }
            for row in &result.first_rows {
                write!(f, " ({})", listed(row))?;
            }
            if result.rows > result.first_rows.len() as u64 {
                f.write_str(" …")?;
            }
        }
        if let Some(error) = &self.reply.error {
            write!(
                f,
                " {} {}: {}",
                error.severity,
                error.sqlstate,
                on_one_line(&error.message)
            )?;
        }
        match self.reply.end {
            ReplyEnd::Ready(after) => match self.step.state_before {
                Some(before) => write!(f, "  {before}→{after}"),
                None => write!(f, "  {after}"),
            },
            ReplyEnd::Flushed | ReplyEnd::Unanswered => Ok(()),
            ReplyEnd::Skipped => f.write_str(" skipped"),
            ReplyEnd::Cut => f.write_str(" connection lost"),
            ReplyEnd::NotSent => f.write_str(" never sent"),
        }
    }
}

fn milliseconds(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn on_one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = line.char_indices().nth(SQL_SHOWN) {
        line.truncate(at);
        line.push('…');
    }
    line
}

fn listed(values: &[Value]) -> String {
    let shown = |value: &Value| {
        value
            .as_deref()
            .map_or_else(|| "null".to_owned(), on_one_line)
    };
    values.iter().map(shown).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::{
        ErrorResponse, SessionId, Statement, StatementResult, StepId, TransactionState,
    };

    fn record(kind: StepKind, sql: &str, reply: Reply) -> Record {
        Record {
            step: Step {
                id: StepId {
                    session: SessionId(3),
                    number: 7,
                },
                pid: Some(4711),
                transaction: 2,
                kind,
                state_before: Some(TransactionState::Open),
                statements: vec![Statement {
                    sql: sql.into(),
                    parameters: vec![Some("1".into()), None],
                }],
            },
            reply,
            replaced_by: None,
            cancels: None,
            invoked_ns: 12_345_000,
            sent_ns: 12_400_000,
            completed_ns: 12_613_000,
        }
    }

    fn selected() -> Reply {
        let row = vec![Some("1".to_owned()), Some("Lamp".to_owned()), None];
        let result = StatementResult {
            columns: ["id", "name", "note"].map(str::to_owned).to_vec(),
            rows: 12,
            first_rows: vec![row],
            tag: Some("SELECT 12".to_owned()),
            digest: None,
        };
        let end = ReplyEnd::Ready(TransactionState::Open);
        Reply {
            results: vec![result],
            error: None,
            end,
        }
    }

    fn failed() -> Reply {
        let error = ErrorResponse {
            sqlstate: "40001".into(),
            severity: "ERROR".into(),
            message: "could not serialize access".into(),
        };
        let end = ReplyEnd::Ready(TransactionState::Failed);
        Reply {
            results: Vec::new(),
            error: Some(error),
            end,
        }
    }

    #[test]
    fn a_record_is_a_line_that_people_read() {
        let select = "select id, name, note\n  from item\n where id = $1 for update";
        let mut replaced = record(StepKind::Execute, "update item set stock = 1", failed());
        replaced.replaced_by = Some("do $$ begin raise … end $$".into());
        let lines = [
            record(StepKind::Execute, select, selected()),
            replaced,
            record(StepKind::Query, "commit", Reply::empty(ReplyEnd::Cut)),
            record(
                StepKind::Prepare,
                "select 1",
                Reply::empty(ReplyEnd::NotSent),
            ),
        ];
        insta::assert_snapshot!(lines.map(|line| line.to_string()).join("\n"), @"
        12.345 ms  s3.7    pid 4711    tx 2    select id, name, note from item where id = $1 for update [1, null]  → SELECT 12 (1, Lamp, null) …  T→T  0.213 ms
        12.345 ms  s3.7    pid 4711    tx 2    update item set stock = 1 [1, null]  (replaced by do $$ begin raise … end $$)  → ERROR 40001: could not serialize access  T→E  0.213 ms
        12.345 ms  s3.7    pid 4711    tx 2    commit [1, null]  → connection lost  0.213 ms
        12.345 ms  s3.7    pid 4711    tx 2    prepare select 1 [1, null]  → never sent  0.213 ms
        ");
    }

    #[test]
    fn a_record_comes_back_from_json_as_it_was() {
        for reply in [selected(), failed(), Reply::empty(ReplyEnd::Skipped)] {
            let record = record(StepKind::Execute, "select 1", reply);
            let line = serde_json::to_string(&record).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
        }
    }
}
