//! A transcript as a timeline: what each request did, saw and waited for, in order.
//!
//! A row is a moment. What belongs to the last moment joins its row; anything
//! else starts a new one, so time never runs sideways, save for two steps that were under way at
//! once. A step that several requests share stands in the cell of each. Knows nothing of widths and
//! colours.

use std::collections::BTreeMap;

use rowlock_core::answer::Answer;
use rowlock_core::program::Program;
use rowlock_proxy::{Reply, ReplyEnd, Statement, StatementResult, Verb};

use super::explain::{circle, list, named};
use crate::schedule::RequestIndex;
use crate::sharing::Sharing;
use crate::sql::filled;
use crate::transcript::Event;
use crate::witness::Witness;

/// Rows of one result that are shown.
const ROWS_SHOWN: usize = 3;
const ROLLED_BACK: &str = "rolled back";

/// A moment.
#[derive(Debug)]
pub(super) enum Moment {
    /// Something of several requests.
    Across(String),
    /// Something of one request, or of two at once.
    Cells {
        /// The choice that made it happen, from 1.
        number: Option<usize>,
        cells: BTreeMap<RequestIndex, Vec<Line>>,
    },
}

/// A line of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its words.
    pub text: String,
    /// What it is.
    pub look: Look,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A statement.
    Statement,
    /// What came back.
    Result,
    /// A wait, and its end.
    Wait,
    /// An answer of the service.
    Strong,
    /// An error.
    Error,
}

/// The moments of a witness, in order.
pub(super) fn moments<P: Program>(witness: &Witness<P>) -> Vec<Moment> {
    let mut rows = Timeline::default();
    let sharing = Sharing::of(&witness.transcript);
    for (place, event) in witness.transcript.events.iter().enumerate() {
        let before = (rows.all.len(), rows.last_lines(event).len());
        rows.add(event, witness);
        rows.share(event, before, sharing.beside(place));
    }
    rows.all
}

#[derive(Debug, Default)]
struct Timeline {
    all: Vec<Moment>,
    choices: usize,
    /// The request delivered by the event just before, if it was one.
    just_delivered: Option<RequestIndex>,
    /// Those that wait for a lock.
    waiting: Vec<RequestIndex>,
}

impl Timeline {
    fn add<P: Program>(&mut self, event: &Event, witness: &Witness<P>) {
        let before = self.just_delivered.take();
        match event {
            Event::Invoked { .. } => {}
            Event::Passed {
                request,
                statements,
            } => self.begin(*request, None, texts(statements)),
            Event::Delivered {
                request,
                statements,
            } => self.deliver(*request, statements, before),
            Event::Waits { request, by } => self.wait(*request, by, P::CLIENT),
            Event::Replied { request, reply } => self.reply(*request, reply),
            Event::Stalled { request } => {
                let line = Line::new("waits inside the service", Look::Wait);
                self.join(*request, vec![line]);
            }
            Event::Deadlocked { cycle } => {
                let sentence = format!(
                    "deadlock: {}; one statement is cancelled",
                    circle(cycle, P::CLIENT)
                );
                self.all.push(Moment::Across(sentence));
            }
            Event::Answered { request } => {
                let answer = witness.answers.get(request.0);
                let answer = answer.map_or(String::new(), |answer| format!("⇒ {}", answer.reply()));
                let line = Line::new(answer, Look::Strong);
                self.join(*request, vec![line]);
            }
        }
    }

    /// A step delivered right after another one's was under way with it, and shares its row.
    fn deliver(
        &mut self,
        request: RequestIndex,
        statements: &[Statement],
        before: Option<RequestIndex>,
    ) {
        match (before, self.all.last_mut()) {
            (Some(other), Some(Moment::Cells { cells, .. })) if other != request => {
                let lines = cells.entry(request).or_default();
                lines.extend(texts(statements));
            }
            _ => {
                self.choices += 1;
                self.begin(request, Some(self.choices), texts(statements));
            }
        }
        self.just_delivered = Some(request);
    }

    fn wait(&mut self, request: RequestIndex, by: &[RequestIndex], client: &str) {
        let again = if self.waiting.contains(&request) {
            "now "
        } else {
            ""
        };
        let for_whom = match by {
            [] => "a lock".to_owned(),
            some => list(some.iter().map(|one| named(client, *one))),
        };
        self.join(
            request,
            vec![Line::new(
                format!("{again}waits for {for_whom}"),
                Look::Wait,
            )],
        );
        self.waiting.push(request);
    }

    fn reply(&mut self, request: RequestIndex, reply: &Reply) {
        let was_waiting = self.waiting.contains(&request);
        self.waiting.retain(|other| *other != request);
        let cell = match self.all.last() {
            Some(Moment::Cells { cells, .. }) => cells.get(&request),
            _ => None,
        };
        let mut lines = Vec::new();
        if was_waiting {
            lines.push(Line::new("waits no more", Look::Wait));
        } else if cell.is_none() {
            lines.push(Line::new("is answered", Look::Wait));
        }
        let sent = cell.and_then(|lines| lines.last());
        let is_rollback =
            sent.is_some_and(|line| matches!(Verb::of(&line.text), Verb::Rollback { .. }));
        // Only a COMMIT that rolled back is news.
        let news = results(reply);
        lines.extend(
            news.into_iter()
                .filter(|line| !(is_rollback && line.text == ROLLED_BACK)),
        );
        match was_waiting {
            true => self.begin(request, None, lines),
            false => self.join(request, lines),
        }
    }

    /// The lines of the event's request in the last row.
    fn last_lines(&self, event: &Event) -> &[Line] {
        match (self.all.last(), event.request()) {
            (Some(Moment::Cells { cells, .. }), Some(request)) => {
                cells.get(&request).map_or(&[], Vec::as_slice)
            }
            _ => &[],
        }
    }

    /// Writes what `event` has added, since there were so many rows and lines in the last of them, into
    /// the cells of those `beside` its request.
    fn share(&mut self, event: &Event, before: (usize, usize), beside: &[RequestIndex]) {
        let (rows, lines) = before;
        let known = match self.all.len() > rows {
            true => 0,
            false => lines,
        };
        let mut added = self.last_lines(event)[known..].to_vec();
        if let (Event::Passed { request, .. } | Event::Delivered { request, .. }, Some(first)) =
            (event, added.first_mut())
        {
            first.text = format!("with {request}: {}", first.text);
        }
        if let Some(Moment::Cells { cells, .. }) = self.all.last_mut() {
            for request in beside {
                cells.entry(*request).or_default().extend(added.clone());
            }
        }
    }

    fn begin(&mut self, request: RequestIndex, number: Option<usize>, lines: Vec<Line>) {
        let cells = BTreeMap::from([(request, lines)]);
        self.all.push(Moment::Cells { number, cells });
    }

    /// Adds to the last row if it is this request's, else starts one.
    fn join(&mut self, request: RequestIndex, lines: Vec<Line>) {
        if let Some(Moment::Cells { cells, .. }) = self.all.last_mut()
            && let Some(cell) = cells.get_mut(&request)
        {
            cell.extend(lines);
            return;
        }
        self.begin(request, None, lines);
    }
}

impl Line {
    pub(super) fn new(text: impl Into<String>, look: Look) -> Line {
        Line {
            text: text.into(),
            look,
        }
    }
}

fn texts(statements: &[Statement]) -> Vec<Line> {
    let line = |statement| Line::new(filled(statement), Look::Statement);
    statements.iter().map(line).collect()
}

pub(super) fn results(reply: &Reply) -> Vec<Line> {
    let mut lines: Vec<_> = reply.results.iter().flat_map(result).collect();
    if let Some(error) = &reply.error {
        let text = format!("error {}: {}", error.sqlstate, error.message);
        lines.push(Line::new(text, Look::Error));
    }
    let odd = match reply.end {
        ReplyEnd::Cut => Some("the connection breaks"),
        ReplyEnd::NotSent => Some("is never sent"),
        ReplyEnd::Skipped => Some("is skipped"),
        ReplyEnd::Ready(_) | ReplyEnd::Flushed | ReplyEnd::Unanswered => None,
    };
    lines.extend(odd.map(|text| Line::new(text, Look::Error)));
    lines
}

fn result(result: &StatementResult) -> Vec<Line> {
    let tag = result.tag.as_deref().unwrap_or_default();
    let (verb, count) = match tag.rsplit_once(' ') {
        Some((verb, count)) => (verb.split(' ').next().unwrap_or_default(), count),
        None => (tag, ""),
    };
    let rows = result.first_rows.iter().take(ROWS_SHOWN);
    let mut lines: Vec<_> = rows
        .map(|row| Line::new(row_text(&result.columns, row), Look::Result))
        .collect();
    let shown = lines.len() as u64;
    if result.rows > shown && shown > 0 {
        lines.push(Line::new(
            format!("and {} more", result.rows - shown),
            Look::Result,
        ));
    }
    if !lines.is_empty() {
        return lines;
    }
    let done = match verb {
        "UPDATE" => "updated",
        "DELETE" => "deleted",
        "INSERT" => "inserted",
        "SELECT" => "found",
        "ROLLBACK" => return vec![Line::new(ROLLED_BACK, Look::Result)],
        _ => return Vec::new(),
    };
    let count = match count {
        "0" => "no row".to_owned(),
        "1" => "1 row".to_owned(),
        many => format!("{many} rows"),
    };
    vec![Line::new(format!("{count} {done}"), Look::Result)]
}

fn row_text(columns: &[String], row: &[Option<String>]) -> String {
    let value = |(index, value): (usize, &Option<String>)| {
        let name = columns.get(index).map_or("?", String::as_str);
        format!("{name} = {}", value.as_deref().unwrap_or("null"))
    };
    let values: Vec<_> = row.iter().enumerate().map(value).collect();
    values.join(", ")
}
