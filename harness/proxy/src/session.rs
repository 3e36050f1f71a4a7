//! One connection as the protocol sees it: which step each byte belongs to, and what passes when.
//!
//! Bytes go in from either side, and for each piece comes out whether it passes at
//! once or was kept; the caller moves the bytes. No I/O, no clock, no waiting: the whole of it is
//! a function of what was fed, so it can be tested byte by byte.

use std::collections::VecDeque;
use std::time::Instant;

use super::assembly::{Assembly, Watch, statements};
use super::early::Early;
use super::frame::Framer;
use super::memory::Memory;
use super::message;
use super::reply::{Progress, ReplyReader};
use super::step::{
    Reply, ReplyEnd, SessionId, Statement, Step, StepId, StepKind, TransactionState,
};

/// A step that the server has been given.
#[derive(Debug)]
struct InFlight {
    number: u64,
    kind: StepKind,
    query: Option<String>,
    transaction: u64,
    state_before: Option<TransactionState>,
    observed: bool,
    /// The reply's bytes, if it is to be released as a whole.
    kept: Option<Vec<u8>>,
    copying: bool,
    /// Whether the transaction in which it runs is known.
    placed: bool,
    times: (Instant, Instant),
    /// Another statement went in its place: what it would have run, and what ran.
    replaced: Option<(Vec<Statement>, String)>,
    reply: ReplyReader,
    /// What was said early has completed the reply.
    ended: Option<ReplyEnd>,
}

/// A step that waits for a decision.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) step: Step,
    assembly: Assembly,
}

/// A step with its reply.
#[derive(Debug)]
pub(super) struct Completed {
    pub(super) step: Step,
    pub(super) reply: Reply,
    /// The reply's bytes, where they were kept.
    pub(super) bytes: Option<Vec<u8>>,
    pub(super) invoked: Instant,
    pub(super) sent: Instant,
    pub(super) replaced_by: Option<String>,
}

/// What becomes of bytes that came from the client.
#[derive(Debug)]
pub(super) enum FromClient {
    Pass,
    Kept,
    /// They were kept, and make this step whole.
    Ready(Box<Assembly>),
}

/// What becomes of bytes that came from the server.
#[derive(Debug)]
pub(super) enum FromServer {
    Pass,
    Kept,
    /// They were kept, but the client must have all that was kept so far.
    Release(Vec<u8>),
    /// They end this reply; they pass unless it kept them.
    Complete(Box<Completed>),
}

/// The protocol's state of one connection.
#[derive(Debug)]
pub(super) struct Session {
    id: SessionId,
    pub(super) pid: Option<i32>,
    /// BackendKeyData's body: what a CancelRequest for this session must carry.
    pub(super) cancel_key: Vec<u8>,
    pub(super) state: Option<TransactionState>,
    pub(super) transaction: u64,
    next_number: u64,
    from_client: Framer,
    from_server: Framer,
    /// The client's message under way belongs to no step.
    loose: bool,
    assembly: Option<Assembly>,
    early: Early,
    memory: Memory,
    in_flight: VecDeque<InFlight>,
    /// A batch cut with Flush has failed; the server skips all until the Sync.
    skipping: bool,
}

impl Session {
    /// A session whose first step is this start-up packet.
    ///
    /// The packet itself has no type byte, so its reader hands it over whole.
    pub(super) fn new(id: SessionId) -> Self {
        Self {
            id,
            pid: None,
            cancel_key: Vec::new(),
            state: None,
            transaction: 0,
            next_number: 0,
            from_client: Framer::default(),
            from_server: Framer::default(),
            loose: false,
            assembly: None,
            early: Early::default(),
            memory: Memory::default(),
            in_flight: VecDeque::new(),
            skipping: false,
        }
    }

    /// Whether every step that was sent has its reply.
    pub(super) fn is_quiet(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// The step whose reply is awaited.
    pub(super) fn current_step(&self) -> Option<StepId> {
        self.in_flight.front().map(|front| StepId {
            session: self.id,
            number: front.number,
        })
    }

    /// Takes the next piece of what the client sent; `input` must not be empty.
    pub(super) fn client(
        &mut self,
        input: &[u8],
        watch: Watch,
        now: Instant,
    ) -> (usize, FromClient) {
        let observed = self
            .assembly
            .as_ref()
            .map_or(watch.observe, |assembly| assembly.observed);
        let part = self.from_client.next(input, |tag| match tag {
            b'P' | b'C' | b'D' => true,
            _ => observed && message::is_request(tag),
        });
        let taken = part.taken;
        if part.first {
            self.loose = self.assembly.is_none() && !begins_step(part.tag, self.in_flight.front());
        }
        if self.loose {
            return (taken, FromClient::Pass);
        }
        let assembly = self
            .assembly
            .get_or_insert_with(|| Assembly::new(watch, now));
        let is_kept = assembly.bytes.is_some();
        if let Some(bytes) = &mut assembly.bytes {
            bytes.extend_from_slice(&input[..taken]);
        }
        let is_whole = assembly.take(part, &mut self.memory);
        if !is_whole {
            return (
                taken,
                if is_kept {
                    FromClient::Kept
                } else {
                    FromClient::Pass
                },
            );
        }
        match self.assembly.take() {
            Some(assembly) if is_kept => (taken, FromClient::Ready(Box::new(assembly))),
            Some(assembly) => {
                self.begin(assembly, None, now);
                (taken, FromClient::Pass)
            }
            None => (taken, FromClient::Pass),
        }
    }

    /// Takes the next piece of what the server sent; `input` must not be empty.
    pub(super) fn server(&mut self, input: &[u8]) -> (usize, FromServer) {
        let (front, early) = (self.in_flight.front(), &self.early);
        let part = self.from_server.next(input, |tag| match front {
            Some(front) => tag == b'K' || front.reply.wants(tag),
            None => tag == b'K' || early.wants(tag),
        });
        let taken = part.taken;
        if let Some(message) = part.end
            && message.tag == b'K'
        {
            self.pid = message
                .body
                .first_chunk()
                .map(|pid| i32::from_be_bytes(*pid));
            self.cancel_key = message.body.to_vec();
        }
        let Some(front) = self.in_flight.front_mut() else {
            if let (Some(message), Some(_)) = (part.end, &self.assembly) {
                self.early.keep(message);
            }
            return (taken, FromServer::Pass);
        };
        let mut pass = FromServer::Pass;
        if let Some(kept) = &mut front.kept {
            kept.extend_from_slice(&input[..taken]);
            pass = FromServer::Kept;
        }
        let outcome = match part.end.map(|message| front.reply.read(message)) {
            None | Some(Progress::More) => pass,
            Some(Progress::CopyIn) => {
                front.copying = true;
                front.kept.as_mut().map_or(FromServer::Pass, |kept| {
                    FromServer::Release(std::mem::take(kept))
                })
            }
            Some(Progress::CopyBoth) => {
                front.copying = true;
                // What is streamed is not kept until a reply is whole: none may ever be.
                front
                    .kept
                    .take()
                    .map_or(FromServer::Pass, FromServer::Release)
            }
            Some(Progress::Complete(end)) => {
                let completed = self.complete(end);
                completed.map_or(pass, |completed| FromServer::Complete(Box::new(completed)))
            }
        };
        (taken, outcome)
    }

    /// Names a whole step, so that somebody can decide about it. Nothing else may be in flight.
    pub(super) fn offer(&mut self, assembly: Assembly) -> Offered {
        let transaction = self.transaction_for(assembly.kind);
        let step = Step {
            id: StepId {
                session: self.id,
                number: self.next_number,
            },
            pid: self.pid,
            transaction,
            kind: assembly.kind,
            state_before: self.state,
            statements: statements(assembly.kind, assembly.query.as_ref(), &assembly.expected),
        };
        self.next_number += 1;
        Offered { step, assembly }
    }

    /// Takes note that an offered step is sent, and gives its bytes.
    pub(super) fn send(&mut self, offered: Offered, now: Instant) -> Vec<u8> {
        let Offered { step, mut assembly } = offered;
        let bytes = assembly.bytes.replace(Vec::new()).unwrap_or_default();
        self.begin(assembly, Some(&step), now);
        bytes
    }

    /// Takes note that another statement is sent in the place of an offered step.
    pub(super) fn send_instead(&mut self, offered: Offered, sql: &str, now: Instant) -> Vec<u8> {
        let Offered { step, mut assembly } = offered;
        self.memory.undo(assembly.expected.drain(..));
        assembly.ends_with_sync = true;
        self.begin(assembly, Some(&step), now);
        if let Some(in_flight) = self.in_flight.back_mut() {
            in_flight.replaced = Some((step.statements, sql.to_owned()));
        }
        message::query_bytes(sql)
    }

    /// Takes note that a statement of the harness's own is sent, and gives its bytes.
    pub(super) fn send_own(&mut self, sql: &str, now: Instant) -> Vec<u8> {
        let mut assembly = Assembly::new(
            Watch {
                observe: true,
                hold: true,
            },
            now,
        );
        assembly.kind = StepKind::Injected;
        assembly.query = Some(sql.to_owned());
        self.begin(assembly, None, now);
        message::query_bytes(sql)
    }

    /// The step of an offer that is not to be sent.
    pub(super) fn refuse(&mut self, offered: Offered, now: Instant) -> Completed {
        let Offered { step, mut assembly } = offered;
        self.memory.undo(assembly.expected.drain(..));
        Completed {
            step,
            reply: Reply::empty(ReplyEnd::NotSent),
            bytes: None,
            invoked: assembly.invoked,
            sent: now,
            replaced_by: None,
        }
    }

    /// The next step that was sent and gets no further reply: answered before it was whole, skipped after an earlier one failed, or,
    /// when the connection has ended, cut.
    pub(super) fn next_unanswered(&mut self, connection_ended: bool) -> Option<Completed> {
        loop {
            let front = self.in_flight.front()?;
            let is_skipped = front.reply.is_cut_with_flush() && self.skipping;
            let end = match front.ended {
                Some(end) => end,
                None if is_skipped => ReplyEnd::Skipped,
                None if connection_ended => ReplyEnd::Cut,
                None => return None,
            };
            if let Some(completed) = self.complete(end) {
                return Some(completed);
            }
        }
    }

    fn begin(&mut self, assembly: Assembly, offered: Option<&Step>, now: Instant) {
        let number = offered.map_or(self.next_number, |step| step.id.number);
        self.next_number = self.next_number.max(number + 1);
        let is_reply_kept = assembly.bytes.is_some() && assembly.kind != StepKind::Startup;
        let reply = ReplyReader::new(
            assembly.expected,
            assembly.ends_with_sync,
            assembly.observed,
        );
        self.in_flight.push_back(InFlight {
            number,
            kind: assembly.kind,
            query: assembly.query,
            transaction: offered.map_or(0, |step| step.transaction),
            state_before: offered.and_then(|step| step.state_before),
            observed: assembly.observed,
            kept: is_reply_kept.then(Vec::new),
            copying: false,
            placed: offered.is_some(),
            times: (assembly.invoked, now),
            replaced: None,
            reply: match is_reply_kept {
                true => reply.digesting(),
                false => reply,
            },
            ended: None,
        });
        if self.in_flight.len() == 1 {
            self.place_front();
            self.read_early();
        }
    }

    /// Reads as the beginning of the front's reply what the server has said of it already.
    fn read_early(&mut self) {
        let Some(front) = self.in_flight.front_mut() else {
            return;
        };
        self.early.drain(|message| {
            if let Progress::Complete(end) = front.reply.read(message) {
                front.ended.get_or_insert(end);
            }
        });
    }

    /// Says of the step whose turn it is in which transaction it runs, now that this is known.
    fn place_front(&mut self) {
        let unplaced = self.in_flight.front().filter(|front| !front.placed);
        let Some(kind) = unplaced.map(|front| front.kind) else {
            return;
        };
        let transaction = self.transaction_for(kind);
        if let Some(front) = self.in_flight.front_mut() {
            (front.transaction, front.state_before) = (transaction, self.state);
            front.placed = true;
        }
    }

    fn transaction_for(&mut self, kind: StepKind) -> u64 {
        if kind.runs() && self.state == Some(TransactionState::Idle) {
            self.transaction += 1;
        }
        self.transaction
    }

    /// Ends the reply of the step in front; the result is only for steps that are observed.
    fn complete(&mut self, end: ReplyEnd) -> Option<Completed> {
        let mut front = self.in_flight.pop_front()?;
        let (statements, replaced_by) = match front.replaced.take() {
            Some((statements, sql)) => (statements, Some(sql)),
            None if !front.observed => (Vec::new(), None),
            None => (
                statements(front.kind, front.query.as_ref(), &front.reply.expected),
                None,
            ),
        };
        self.memory.undo(front.reply.take_unanswered());
        self.skipping |= front.reply.is_cut_with_flush() && front.reply.has_failed();
        let reply = front.reply.into_reply(end);
        match end {
            ReplyEnd::Ready(state) => self.settle(state, front.query.as_deref(), &reply),
            // What ran has begun or ended a transaction or not; only ReadyForQuery will say.
            ReplyEnd::Flushed if front.kind.runs() => self.state = None,
            _ => {}
        }
        self.place_front();
        front.observed.then_some(Completed {
            step: Step {
                id: StepId {
                    session: self.id,
                    number: front.number,
                },
                pid: self.pid,
                transaction: front.transaction,
                kind: front.kind,
                state_before: front.state_before,
                statements,
            },
            reply,
            bytes: front.kept,
            invoked: front.times.0,
            sent: front.times.1,
            replaced_by,
        })
    }

    fn settle(&mut self, state: TransactionState, query: Option<&str>, reply: &Reply) {
        self.skipping = false;
        self.state = Some(state);
        if state == TransactionState::Idle && self.in_flight.is_empty() {
            self.memory.end_transaction();
        }
        if let Some(sql) = query
            && reply.error.is_none()
        {
            self.memory.note_success(sql);
        }
    }
}

impl Offered {
    /// Whether the reply to a simple Query may stand for the step's own.
    pub(super) fn can_be_replaced(&self) -> bool {
        self.assembly.ends_with_sync && self.step.kind != StepKind::Startup
    }
}

fn begins_step(tag: u8, front: Option<&InFlight>) -> bool {
    match tag {
        b'Q' | b'F' | b'P' | b'B' | b'D' | b'E' | b'C' => true,
        // In a copy by the extended protocol the server ignores the batch's own Sync, and answers
        // the one that follows the data: it belongs to the copy.
        b'S' => !front.is_some_and(|front| front.copying && front.kind == StepKind::Execute),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
