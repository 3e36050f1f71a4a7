//! A transcript as a log of statements: each statement that ran, with its reply, and when transactions ended.
//!
//! Only reads it off; what it means is said elsewhere.

use rowlock_proxy::{Reply, ReplyEnd, Statement, TransactionState};

use crate::schedule::RequestIndex;
use crate::sql::{Effect, Gist, gist};
use crate::transcript::{Event, Transcript};

/// One statement that ran, and when.
#[derive(Debug)]
pub(super) struct ExecutedStatement<'a> {
    pub(super) request: RequestIndex,
    pub(super) gist: Gist,
    /// Its place in the transcript when it was delivered, and when it was answered.
    pub(super) began: usize,
    pub(super) ended: usize,
    pub(super) reply: Option<&'a Reply>,
    /// Which of the reply's results is its own.
    result: usize,
}

#[derive(Debug)]
pub(super) struct StatementLog<'a> {
    /// What a client is called.
    pub(super) client: &'static str,
    pub(super) statements: Vec<ExecutedStatement<'a>>,
    /// When each transaction ended: whose, and its place.
    pub(super) ends: Vec<(RequestIndex, usize)>,
}

impl<'a> StatementLog<'a> {
    pub(super) fn of(transcript: &'a Transcript, client: &'static str) -> StatementLog<'a> {
        let mut log = StatementLog {
            client,
            statements: Vec::new(),
            ends: Vec::new(),
        };
        for (place, event) in transcript.events.iter().enumerate() {
            match event {
                Event::Delivered {
                    request,
                    statements,
                } => log.deliver(place, *request, statements),
                Event::Replied { request, reply } => log.reply(place, *request, reply),
                Event::Answered { request } => log.ends.push((*request, place)),
                _ => {}
            }
        }
        log
    }

    fn deliver(&mut self, place: usize, request: RequestIndex, statements: &[Statement]) {
        for (result, statement) in statements.iter().enumerate() {
            if rowlock_proxy::Verb::of(&statement.sql).ends_transaction() {
                self.ends.push((request, place));
            }
            if let Some(gist) = gist(statement) {
                self.statements.push(ExecutedStatement {
                    request,
                    gist,
                    began: place,
                    ended: usize::MAX,
                    reply: None,
                    result,
                });
            }
        }
    }

    fn reply(&mut self, place: usize, request: RequestIndex, reply: &'a Reply) {
        let is_open = |statement: &&mut ExecutedStatement<'_>| {
            statement.request == request && statement.reply.is_none()
        };
        for statement in self.statements.iter_mut().filter(is_open) {
            (statement.ended, statement.reply) = (place, Some(reply));
        }
    }
}

impl ExecutedStatement<'_> {
    /// Whether it locked rows that it read, for longer than itself: outside a transaction the
    /// lock is gone with the statement.
    pub(super) fn held_the_row(&self) -> bool {
        let end = self.reply.map(|reply| reply.end);
        let is_alone = end == Some(ReplyEnd::Ready(TransactionState::Idle));
        self.gist.effect == Effect::Lock && !is_alone
    }

    /// Whether it changed a row or would have, had the database not refused.
    pub(super) fn acted(&self) -> bool {
        self.changed() || self.reply.is_some_and(|reply| reply.error.is_some())
    }

    /// Whether it found no row to change, going by its command tag.
    pub(super) fn missed(&self) -> bool {
        self.tag() == Some("UPDATE 0")
    }

    fn tag(&self) -> Option<&str> {
        let result = self.reply?.results.get(self.result)?;
        result.tag.as_deref()
    }

    /// Whether it changed a row, going by its command tag.
    pub(super) fn changed(&self) -> bool {
        self.tag().is_some_and(|tag| !tag.ends_with(" 0"))
    }

    /// The columns of its first row with their values; none where it brought no row.
    pub(super) fn values(&self) -> Vec<(String, String)> {
        let result = self.reply.and_then(|reply| reply.results.get(self.result));
        let row = result.and_then(|result| Some((&result.columns, result.first_rows.first()?)));
        let Some((columns, row)) = row else {
            return Vec::new();
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".into());
        let values = columns.iter().cloned().zip(row.iter().map(text));
        values.collect()
    }

    /// The first of `columns` in the first row, with its value.
    pub(super) fn value_of(&self, columns: &[&str]) -> Option<(String, String)> {
        let result = self.reply?.results.get(self.result)?;
        let row = result.first_rows.first()?;
        let at = result
            .columns
            .iter()
            .position(|column| columns.contains(&column.as_str()))?;
        let value = row.get(at)?.clone().unwrap_or_else(|| "null".into());
        Some((result.columns[at].clone(), value))
    }
}
