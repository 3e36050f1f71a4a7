//! Reads the server's messages as the reply to one step.
//!
//! A reply is complete with ReadyForQuery, or, for a batch cut with Flush, when each
//! of its messages is answered or one has failed. Rows are counted and digested, and only the first
//! are read.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::frame::Message;
use super::memory::{Columns, Expected};
use super::message;
use super::step::{ErrorResponse, Reply, ReplyEnd, StatementResult, TransactionState};
use super::value;

/// How many rows of each result are read; the others are counted and digested.
pub(super) const FIRST_ROWS: u64 = 8;

/// What a message of the server does to the reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    /// The server waits for the client's COPY data.
    CopyIn,
    /// Both sides send COPY data, for as long as they like: streaming replication.
    CopyBoth,
    Complete(ReplyEnd),
}

/// The reply to one step, as far as it has come.
#[derive(Debug)]
pub(super) struct ReplyReader {
    pub(super) expected: Vec<Expected>,
    answered: usize,
    ends_with_sync: bool,
    observed: bool,
    /// Whether all rows are digested.
    digested: bool,
    results: Vec<StatementResult>,
    current: Option<(StatementResult, Columns)>,
    error: Option<ErrorResponse>,
    failed: bool,
}

impl ReplyReader {
    pub(super) fn new(expected: Vec<Expected>, ends_with_sync: bool, observed: bool) -> Self {
        Self {
            expected,
            answered: 0,
            ends_with_sync,
            observed,
            digested: false,
            results: Vec::new(),
            current: None,
            error: None,
            failed: false,
        }
    }

    /// Digests all rows from here on.
    pub(super) fn digesting(self) -> Self {
        ReplyReader {
            digested: self.observed,
            ..self
        }
    }

    /// Whether the body of such a message is of use here.
    pub(super) fn wants(&self, tag: u8) -> bool {
        match tag {
            b'Z' => true,
            b't' | b'T' => self.observed || self.describes_statement(),
            b'C' | b'E' => self.observed,
            b'D' => {
                let is_first = |(result, _): &(StatementResult, _)| result.rows < FIRST_ROWS;
                self.digested || self.observed && self.current.as_ref().is_none_or(is_first)
            }
            _ => false,
        }
    }

    pub(super) fn is_cut_with_flush(&self) -> bool {
        !self.ends_with_sync
    }

    /// Whether a message of it has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    fn describes_statement(&self) -> bool {
        matches!(
            self.expected.get(self.answered),
            Some(Expected::StatementDescribed(_))
        )
    }

    /// What the server has not answered, to be undone.
    pub(super) fn take_unanswered(&mut self) -> impl DoubleEndedIterator<Item = Expected> + '_ {
        self.expected.drain(self.answered..)
    }

    pub(super) fn into_reply(mut self, end: ReplyEnd) -> Reply {
        self.end_result(None);
        Reply {
            results: self.results,
            error: self.error,
            end,
        }
    }

    pub(super) fn read(&mut self, message: Message<'_>) -> Progress {
        match message.tag {
            b'Z' => {
                let state = message
                    .body
                    .first()
                    .copied()
                    .and_then(TransactionState::from_byte);
                let end = ReplyEnd::Ready(state.unwrap_or(TransactionState::Idle));
                return Progress::Complete(end);
            }
            b'G' => return Progress::CopyIn,
            b'W' => return Progress::CopyBoth,
            b'1' | b'2' | b'3' | b'n' => self.skip_answered(),
            b't' => self.describe_parameters(message),
            b'T' if self.observed || self.describes_statement() => self.describe_columns(message),
            b'T' => self.skip_answered(),
            b'D' if self.observed => self.read_row(message),
            b'C' => self.end_statement(self.observed.then(|| message::c_string(message))),
            b'I' | b's' => self.end_statement(None),
            b'E' => return self.fail(message),
            _ => {}
        }
        if self.is_cut_with_flush() && self.answered >= self.expected.len() {
            return Progress::Complete(ReplyEnd::Flushed);
        }
        Progress::More
    }

    fn describe_parameters(&mut self, message: Message<'_>) {
        if let Some(Expected::StatementDescribed(prepared)) = self.expected.get(self.answered)
            && let Some(types) = message::parameter_types(message)
        {
            prepared.described_types.get_or_init(|| types);
        }
    }

    fn describe_columns(&mut self, message: Message<'_>) {
        let columns = message::row_description(message)
            .map(columns_of)
            .unwrap_or_default();
        match self.expected.get(self.answered) {
            Some(Expected::StatementDescribed(prepared)) => {
                prepared.columns.get_or_init(|| columns);
                self.answered += 1;
            }
            Some(Expected::PortalDescribed(portal)) => {
                portal.columns.get_or_init(|| columns);
                self.answered += 1;
            }
            Some(_) => self.answered += 1,
            None => self.begin_result(columns),
        }
    }

    fn begin_result(&mut self, columns: Columns) {
        let result = StatementResult {
            columns: columns.names.clone(),
            digest: self.digested.then_some(0),
            ..Default::default()
        };
        self.current = Some((result, columns));
    }

    fn read_row(&mut self, message: Message<'_>) {
        if self.current.is_none() {
            let columns = match self.expected.get(self.answered) {
                Some(Expected::Executed(portal)) => portal.columns(),
                _ => Columns::default(),
            };
            self.begin_result(columns);
        }
        let Some((result, columns)) = &mut self.current else {
            return;
        };
        result.rows += 1;
        let is_whole = message.body.len() == message.len;
        result.digest = result.digest.filter(|_| is_whole).map(|digest| {
            let mut hasher = DefaultHasher::new();
            (digest, message.body).hash(&mut hasher);
            hasher.finish()
        });
        if result.rows <= FIRST_ROWS {
            let row = message::fields(message).enumerate().map(|(index, field)| {
                let oid = columns.types.get(index).copied().unwrap_or_default();
                let format = value::format_of(&columns.formats, index);
                field.map(|bytes| value::text(oid, format, bytes))
            });
            result.first_rows.push(row.collect());
        }
    }

    fn end_statement(&mut self, tag: Option<String>) {
        if self.current.is_none() && self.observed {
            self.begin_result(Columns::default());
        }
        self.end_result(tag);
        self.skip_answered();
    }

    /// Goes on to the next expected answer; a simple Query expects none by name.
    fn skip_answered(&mut self) {
        self.answered = self.expected.len().min(self.answered + 1);
    }

    fn end_result(&mut self, tag: Option<String>) {
        if let Some((mut result, _)) = self.current.take() {
            result.tag = tag;
            self.results.push(result);
        }
    }

    fn fail(&mut self, message: Message<'_>) -> Progress {
        self.failed = true;
        if self.observed {
            self.error = Some(server_error(message));
        }
        if self.is_cut_with_flush() {
            return Progress::Complete(ReplyEnd::Flushed);
        }
        Progress::More
    }
}

fn columns_of(description: pgwire::messages::data::RowDescription) -> Columns {
    let mut columns = Columns::default();
    for field in description.fields {
        columns.names.push(field.name);
        columns.types.push(field.type_id);
        columns.formats.push(field.format_code);
    }
    columns
}

fn server_error(message: Message<'_>) -> ErrorResponse {
    let mut error = ErrorResponse::default();
    let fields = message::error_response(message)
        .map(|error| error.fields)
        .unwrap_or_default();
    for (code, text) in fields {
        match code {
            b'V' => error.severity = text,
            b'C' => error.sqlstate = text,
            b'M' => error.message = text,
            _ => {}
        }
    }
    error
}
