//! What waits on its way, and what the gate lets go.
//!
//! Bytes come in from either side, and go into the lanes now or later. Later is:
//! steps in `waiting`, at most one step offered to the gate, at most one reply held. No sockets
//! here; [`Pump`](super::pump::Pump) reads and writes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::assembly::Assembly;
use super::control::{Command, Listing, Shared};
use super::gate::{Decision, ReplyAction, RequestAction, SessionEvent};
use super::lane::Lane;
use super::session::{Completed, FromClient, FromServer, Offered, Session};
use super::step::{SessionId, StepId, StepKind};
use super::trace::Record;

/// What a client may pile up behind a held step, in pieces, before it is read no further.
const WAITING_AT_MOST: usize = 4096;

/// The two directions of one connection.
pub(super) struct Passage {
    id: SessionId,
    session: Session,
    shared: Arc<Shared>,
    listing: Listing,
    pub(super) to_server: Lane,
    pub(super) to_client: Lane,
    waiting: VecDeque<Waiting>,
    offered: Option<Offered>,
    held_reply: Option<HeldReply>,
    client_ended: bool,
    server_ended: bool,
    /// Both connections are to be closed now.
    pub(super) closing: bool,
}

enum Waiting {
    Step(Box<Assembly>),
    Loose(Vec<u8>),
}

struct HeldReply {
    step: StepId,
    /// The reply, and whatever the server sent after it.
    bytes: Vec<u8>,
}

impl Passage {
    pub(super) fn new(id: SessionId, shared: Arc<Shared>, listing: Listing) -> Self {
        Self {
            id,
            session: Session::new(id),
            shared,
            listing,
            to_server: Lane::new(),
            to_client: Lane::new(),
            waiting: VecDeque::new(),
            offered: None,
            held_reply: None,
            client_ended: false,
            server_ended: false,
            closing: false,
        }
    }

    /// Begins with the start-up packet.
    pub(super) fn begin(&mut self, startup: Assembly) {
        self.waiting.push_back(Waiting::Step(Box::new(startup)));
        self.advance();
    }

    /// Whether both connections may be closed.
    pub(super) fn is_over(&self) -> bool {
        let is_drained = self.to_client.is_empty() && self.held_reply.is_none();
        self.closing || (self.server_ended && is_drained)
    }

    /// Whether more from the client is wanted.
    pub(super) fn reads_client(&self) -> bool {
        !self.client_ended && self.waiting.len() < WAITING_AT_MOST
    }

    /// Whether more from the server is to be expected.
    pub(super) fn reads_server(&self) -> bool {
        !self.server_ended
    }

    /// Whether there are bytes that the server is to have.
    pub(super) fn has_news_for_server(&self) -> bool {
        !self.to_server.is_empty()
    }

    /// Whether the server has or is about to have all that the client will ever send.
    pub(super) fn has_sent_all(&self) -> bool {
        self.client_ended && !self.keeps_steps()
    }

    /// Whether steps of the client have not been let go yet.
    fn keeps_steps(&self) -> bool {
        self.offered.is_some() || !self.waiting.is_empty()
    }

    pub(super) fn take_from_client(&mut self, length: usize) {
        let buffer = self.to_server.take_buffer();
        let mut watch = self.shared.watch();
        // What comes behind a step that waits must not overtake it, although the gate is gone.
        if self.keeps_steps() {
            (watch.observe, watch.hold) = (true, true);
        }
        let now = if watch.observe {
            Instant::now()
        } else {
            self.shared.began
        };
        let mut at = 0;
        while at < length {
            let (taken, outcome) = self.session.client(&buffer[at..length], watch, now);
            let bytes = &buffer[at..at + taken];
            match outcome {
                FromClient::Pass if !self.keeps_steps() => {
                    self.to_server.pass(at, bytes);
                }
                FromClient::Pass => self.waiting.push_back(Waiting::Loose(bytes.to_vec())),
                FromClient::Kept => {}
                FromClient::Ready(assembly) => {
                    self.waiting.push_back(Waiting::Step(assembly));
                    self.advance();
                }
            }
            at += taken;
        }
        self.to_server.put_back(buffer);
        self.end_unanswered(false);
        self.list();
    }

    pub(super) fn take_from_server(&mut self, length: usize) {
        let buffer = self.to_client.take_buffer();
        let mut at = 0;
        while at < length {
            let (taken, outcome) = self.session.server(&buffer[at..length]);
            let bytes = &buffer[at..at + taken];
            match outcome {
                FromServer::Pass => self.pass_to_client(at, bytes),
                FromServer::Kept => {}
                FromServer::Release(kept) => self.to_client.push(&kept),
                FromServer::Complete(completed) => {
                    if completed.bytes.is_none() {
                        self.pass_to_client(at, bytes);
                    }
                    self.take_completed(*completed);
                    self.end_unanswered(false);
                }
            }
            at += taken;
        }
        self.to_client.put_back(buffer);
        self.list();
    }

    fn pass_to_client(&mut self, at: usize, bytes: &[u8]) {
        match &mut self.held_reply {
            Some(held) => held.bytes.extend_from_slice(bytes),
            None => self.to_client.pass(at, bytes),
        }
    }

    pub(super) fn end_client(&mut self) {
        self.client_ended = true;
        let step = self.step_under_way();
        self.tell(SessionEvent::ClientGone {
            session: self.id,
            step,
        });
        // What is held has nobody to go to, and a step that was never sent must stay so.
        if self.held_step().is_some() {
            self.closing = true;
        }
    }

    pub(super) fn end_server(&mut self) {
        self.server_ended = true;
        self.end_unanswered(true);
        self.list();
    }

    /// Moves on what waits, as far as the gate and the step under way let it.
    fn advance(&mut self) {
        while self.offered.is_none() && !self.closing {
            let may_offer = self.held_reply.is_none() && self.session.is_quiet();
            match self.waiting.pop_front() {
                Some(Waiting::Loose(bytes)) => self.to_server.push(&bytes),
                Some(Waiting::Step(assembly)) if may_offer => self.offer(*assembly),
                Some(step) => return self.waiting.push_front(step),
                None => return,
            }
        }
    }

    fn offer(&mut self, assembly: Assembly) {
        let offered = self.session.offer(assembly);
        let decision = match self.shared.gate() {
            Some(gate) => gate.on_request(&offered.step),
            None => Decision::Now(RequestAction::Deliver),
        };
        match decision {
            Decision::Hold => self.offered = Some(offered),
            Decision::Now(action) => self.request(offered, action),
        }
    }

    fn request(&mut self, offered: Offered, action: RequestAction) {
        let now = Instant::now();
        let bytes = match action {
            RequestAction::Deliver => self.session.send(offered, now),
            RequestAction::Replace(sql) if offered.can_be_replaced() => {
                self.session.send_instead(offered, &sql, now)
            }
            RequestAction::RollBackAndReplace(sql) if offered.can_be_replaced() => {
                let mut bytes = self.session.send_own("rollback", now);
                bytes.extend(self.session.send_instead(offered, &sql, now));
                bytes
            }
            RequestAction::Precede(sql) if offered.step.kind != StepKind::Startup => {
                let mut bytes = self.session.send_own(&sql, now);
                bytes.extend(self.session.send(offered, now));
                bytes
            }
            RequestAction::Drop
            | RequestAction::Replace(_)
            | RequestAction::RollBackAndReplace(_)
            | RequestAction::Precede(_) => {
                let refused = self.session.refuse(offered, now);
                self.record(&refused);
                self.closing = true;
                return;
            }
        };
        self.to_server.push(&bytes);
        self.end_unanswered(false);
    }

    fn take_completed(&mut self, mut completed: Completed) {
        self.record(&completed);
        let Completed { step, reply, .. } = &completed;
        if step.kind == StepKind::Startup && reply.state().is_some() {
            self.tell(SessionEvent::Opened {
                session: self.id,
                pid: self.session.pid,
            });
        }
        let is_for_client = step.kind != StepKind::Injected;
        let Some(bytes) = completed.bytes.take().filter(|_| is_for_client) else {
            return self.advance();
        };
        let decision = match self.shared.gate() {
            Some(gate) => gate.on_reply(&completed.step, &completed.reply),
            None => Decision::Now(ReplyAction::Deliver),
        };
        let held = HeldReply {
            step: completed.step.id,
            bytes,
        };
        match decision {
            Decision::Hold => self.held_reply = Some(held),
            Decision::Now(action) => self.give(held, action),
        }
    }

    /// Ends the steps that get no reply, because the server skips them or is gone.
    fn end_unanswered(&mut self, connection_ended: bool) {
        while let Some(completed) = self.session.next_unanswered(connection_ended) {
            self.take_completed(completed);
        }
    }

    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Request(number, action) => {
                if let Some(offered) = self
                    .offered
                    .take_if(|offered| offered.step.id.number == number)
                {
                    self.request(offered, action);
                    self.advance();
                }
            }
            Command::Reply(number, action) => {
                if let Some(held) = self.held_reply.take_if(|held| held.step.number == number) {
                    self.give(held, action);
                }
            }
            Command::DeliverAll => {
                if let Some(offered) = self.offered.take() {
                    self.request(offered, RequestAction::Deliver);
                }
                if let Some(held) = self.held_reply.take() {
                    self.give(held, ReplyAction::Deliver);
                }
                self.advance();
            }
            Command::Close => self.closing = true,
        }
        self.list();
    }

    fn give(&mut self, held: HeldReply, action: ReplyAction) {
        match action {
            ReplyAction::Deliver => self.to_client.push(&held.bytes),
            ReplyAction::Drop => self.closing = true,
        }
        self.advance();
    }

    /// Accounts for what the end of the connection leaves behind.
    pub(super) fn close(&mut self) {
        let abandoned = self.held_step();
        if let Some(offered) = self.offered.take() {
            let refused = self.session.refuse(offered, Instant::now());
            self.record(&refused);
        }
        while let Some(completed) = self.session.next_unanswered(true) {
            self.record(&completed);
        }
        self.tell(SessionEvent::Closed {
            session: self.id,
            abandoned,
        });
    }

    fn held_step(&self) -> Option<StepId> {
        let offered = self.offered.as_ref().map(|offered| offered.step.id);
        offered.or(self.held_reply.as_ref().map(|held| held.step))
    }

    fn step_under_way(&self) -> Option<StepId> {
        self.held_step().or_else(|| self.session.current_step())
    }

    fn list(&self) {
        self.listing.update(&self.session, self.step_under_way());
    }

    fn tell(&self, event: SessionEvent) {
        if let Some(gate) = self.shared.gate() {
            gate.on_session(event);
        }
    }

    fn record(&self, completed: &Completed) {
        self.shared.record(|| Record {
            invoked_ns: self.shared.since_began_ns(completed.invoked),
            sent_ns: self.shared.since_began_ns(completed.sent),
            completed_ns: self.shared.since_began_ns(Instant::now()),
            step: completed.step.clone(),
            reply: completed.reply.clone(),
            replaced_by: completed.replaced_by.clone(),
            cancels: None,
        });
    }
}
