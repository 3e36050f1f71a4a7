//! A step while it comes in from the client, message by message.
//!
//! A step is whole with the message that makes the server answer: Query, function
//! call, Sync or Flush. Only what somebody will read is decoded on the way.

use std::time::Instant;

use super::frame::Part;
use super::memory::{Expected, Memory};
use super::message::Request;
use super::step::{Statement, StepKind};
use super::words;

/// How closely new steps are watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Watch {
    /// Somebody reads what the steps are.
    pub(super) observe: bool,
    /// Somebody decides when they go; implies reading them.
    pub(super) hold: bool,
}

/// A step as far as it has come from the client.
#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) kind: StepKind,
    pub(super) query: Option<String>,
    pub(super) expected: Vec<Expected>,
    pub(super) ends_with_sync: bool,
    pub(super) observed: bool,
    pub(super) invoked: Instant,
    /// Its bytes, if it waits here to be released as a whole.
    pub(super) bytes: Option<Vec<u8>>,
}

impl Assembly {
    pub(super) fn new(watch: Watch, now: Instant) -> Self {
        Self {
            kind: StepKind::Sync,
            query: None,
            expected: Vec::new(),
            ends_with_sync: true,
            observed: watch.observe || watch.hold,
            invoked: now,
            bytes: watch.hold.then(Vec::new),
        }
    }

    /// The step that is a start-up packet.
    pub(super) fn startup(packet: Vec<u8>, summary: String, now: Instant) -> Self {
        let mut assembly = Self::new(
            Watch {
                observe: true,
                hold: true,
            },
            now,
        );
        assembly.kind = StepKind::Startup;
        assembly.query = Some(summary);
        assembly.bytes = Some(packet);
        assembly
    }

    /// Adds a part of a message and says whether it makes the step whole.
    pub(super) fn take(&mut self, part: Part<'_>, memory: &mut Memory) -> bool {
        if part.first {
            self.kind = match (part.tag, self.kind) {
                (b'Q', _) => StepKind::Query,
                (b'F', _) => StepKind::Call,
                (b'E', _) => StepKind::Execute,
                (b'P' | b'B' | b'D' | b'C', StepKind::Sync) => StepKind::Prepare,
                (_, kind) => kind,
            };
        }
        let Some(message) = part.end else {
            return false;
        };
        match message.tag {
            b'Q' if self.observed => {
                if let Request::Query(sql) = Request::decode(message) {
                    self.query = Some(sql);
                }
            }
            b'P' | b'B' | b'D' | b'E' | b'C' => {
                // Later steps need to know what a statement's name stands for, watched or not.
                let is_lasting = matches!(message.tag, b'P' | b'D' | b'C')
                    && (message.tag == b'P' || message.body.first() == Some(&b'S'));
                let request = match self.observed || is_lasting {
                    true => Request::decode(message),
                    false => Request::Opaque,
                };
                self.expected.push(memory.note(request));
            }
            b'H' => self.ends_with_sync = false,
            _ => {}
        }
        matches!(message.tag, b'Q' | b'F' | b'S' | b'H')
    }
}

/// What a step runs, as well as it can be told by now.
pub(super) fn statements(
    kind: StepKind,
    query: Option<&String>,
    expected: &[Expected],
) -> Vec<Statement> {
    let queried = query.filter(|sql| !sql.is_empty());
    let queried = queried.into_iter().flat_map(|sql| each_statement(sql));
    let resolved = expected.iter().filter_map(|expected| match expected {
        Expected::Executed(portal) => Some(portal.statement()),
        Expected::Parsed { new, .. } if kind == StepKind::Prepare => Some(bare(&new.sql)),
        _ => None,
    });
    resolved.chain(queried).collect()
}

/// The statements of a text of several; one alone stays as it is written, with its comments.
fn each_statement(sql: &str) -> Vec<Statement> {
    let statements = words::statements(sql);
    match statements.len() {
        0 | 1 => vec![bare(sql)],
        _ => statements.into_iter().map(bare).collect(),
    }
}

fn bare(sql: &str) -> Statement {
    Statement {
        sql: sql.to_owned(),
        parameters: Vec::new(),
    }
}
