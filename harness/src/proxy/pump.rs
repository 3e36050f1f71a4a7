//! Moves the bytes of one connection, and obeys the gate.
//!
//! The one idea: one task polls both sockets and its command queue, and nothing is shared between
//! the directions but that task. What passes is decided by [`Session`]; this file reads, writes,
//! and keeps what waits: steps in `waiting`, at most one step offered to the gate, at most one
//! reply held.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::AsyncWrite;
use tokio::sync::mpsc;

use super::control::{Command, Listing, Shared};
use super::gate::{Decision, ReplyAction, RequestAction, SessionEvent};
use super::lane::Lane;
use super::session::{Assembly, Completed, FromClient, FromServer, Offered, Session};
use super::step::{SessionId, StepId, StepKind};
use super::stream::Stream;
use super::trace::Record;

/// What a client may pile up behind a held step, in pieces, before it is read no further.
const WAITING_AT_MOST: usize = 4096;

/// One connection of the target with its connection to the server.
pub(super) struct Pump {
    pub(super) id: SessionId,
    pub(super) client: Stream,
    pub(super) server: Stream,
    pub(super) session: Session,
    pub(super) shared: Arc<Shared>,
    pub(super) listing: Listing,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) state: State,
}

/// What is on its way.
pub(super) struct State {
    to_server: Lane,
    to_client: Lane,
    waiting: VecDeque<Waiting>,
    offered: Option<Offered>,
    held_reply: Option<HeldReply>,
    client_ended: bool,
    server_ended: bool,
    /// Nothing more is written to the server.
    server_shut: bool,
    /// Both connections are to be closed now.
    closing: bool,
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

impl State {
    pub(super) fn new() -> Self {
        Self {
            to_server: Lane::new(),
            to_client: Lane::new(),
            waiting: VecDeque::new(),
            offered: None,
            held_reply: None,
            client_ended: false,
            server_ended: false,
            server_shut: false,
            closing: false,
        }
    }
}

impl Pump {
    /// Runs the connection to its end, beginning with its start-up packet.
    pub(super) async fn run(mut self, startup: Assembly) {
        self.state
            .waiting
            .push_back(Waiting::Step(Box::new(startup)));
        self.advance();
        poll_fn(|cx| self.poll(cx)).await;
        self.close();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut progressed = false;
            while let Poll::Ready(Some(command)) = self.commands.poll_recv(cx) {
                self.obey(command);
                progressed = true;
            }
            progressed |= self.poll_to_server(cx);
            progressed |= self.poll_to_client(cx);
            if self.is_over() {
                return Poll::Ready(());
            }
            if !progressed {
                return Poll::Pending;
            }
        }
    }

    fn is_over(&self) -> bool {
        let state = &self.state;
        let is_drained = state.to_client.is_empty() && state.held_reply.is_none();
        state.closing || (state.server_ended && is_drained)
    }

    /// Writes what the server is to have and reads what the client sends; says if bytes moved.
    fn poll_to_server(&mut self, cx: &mut Context<'_>) -> bool {
        if self.state.closing || !self.flush_to_server(cx) {
            return false;
        }
        let state = &mut self.state;
        if state.client_ended || state.waiting.len() >= WAITING_AT_MOST {
            return false;
        }
        match state.to_server.poll_read(&mut self.client, cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(length @ 1..)) => self.take_from_client(length),
            Poll::Ready(Ok(0)) => self.end_client(),
            // A client that resets its connection waits for no reply.
            Poll::Ready(Err(_)) => {
                self.end_client();
                self.state.closing = true;
            }
        }
        self.flush_to_server(cx);
        true
    }

    /// Writes to the server until nothing is left; says whether that was reached.
    fn flush_to_server(&mut self, cx: &mut Context<'_>) -> bool {
        let state = &mut self.state;
        if state.server_shut {
            state.to_server.clear();
            return true;
        }
        match state.to_server.poll_write(&mut self.server, cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) => {}
            // The server may have said why before it closed: its words are still to be read.
            Poll::Ready(Err(_)) => state.server_shut = true,
        }
        if state.client_ended && state.waiting.is_empty() && !state.server_shut {
            // An orderly end is passed on as such; the server finishes what it was given.
            let _ = Pin::new(&mut self.server).poll_shutdown(cx);
            state.server_shut = true;
        }
        true
    }

    /// Writes what the client is to have and reads what the server sends; says if bytes moved.
    fn poll_to_client(&mut self, cx: &mut Context<'_>) -> bool {
        if self.state.closing || !self.flush_to_client(cx) || self.state.server_ended {
            return false;
        }
        match self.state.to_client.poll_read(&mut self.server, cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(length @ 1..)) => self.take_from_server(length),
            Poll::Ready(Ok(0) | Err(_)) => self.end_server(),
        }
        self.flush_to_client(cx);
        true
    }

    fn flush_to_client(&mut self, cx: &mut Context<'_>) -> bool {
        match self.state.to_client.poll_write(&mut self.client, cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(_)) => {
                self.state.closing = true;
                true
            }
        }
    }

    fn take_from_client(&mut self, length: usize) {
        let buffer = self.state.to_server.take_buffer();
        let watch = self.shared.watch();
        let now = if watch.observe {
            Instant::now()
        } else {
            self.shared.began
        };
        let mut at = 0;
        while at < length {
            let (taken, outcome) = self.session.client(&buffer[at..length], watch, now);
            let bytes = &buffer[at..at + taken];
            let state = &mut self.state;
            match outcome {
                FromClient::Pass if state.waiting.is_empty() && state.offered.is_none() => {
                    state.to_server.pass(at, bytes);
                }
                FromClient::Pass => state.waiting.push_back(Waiting::Loose(bytes.to_vec())),
                FromClient::Kept => {}
                FromClient::Ready(assembly) => {
                    state.waiting.push_back(Waiting::Step(assembly));
                    self.advance();
                }
            }
            at += taken;
        }
        self.state.to_server.put_back(buffer);
        self.end_unanswered(false);
        self.list();
    }

    fn take_from_server(&mut self, length: usize) {
        let buffer = self.state.to_client.take_buffer();
        let mut at = 0;
        while at < length {
            let (taken, outcome) = self.session.server(&buffer[at..length]);
            let bytes = &buffer[at..at + taken];
            match outcome {
                FromServer::Pass => self.pass_to_client(at, bytes),
                FromServer::Kept => {}
                FromServer::Release(kept) => self.state.to_client.push(&kept),
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
        self.state.to_client.put_back(buffer);
        self.list();
    }

    fn pass_to_client(&mut self, at: usize, bytes: &[u8]) {
        match &mut self.state.held_reply {
            Some(held) => held.bytes.extend_from_slice(bytes),
            None => self.state.to_client.pass(at, bytes),
        }
    }

    fn end_client(&mut self) {
        self.state.client_ended = true;
        let step = self.step_under_way();
        self.tell(SessionEvent::ClientGone {
            session: self.id,
            step,
        });
        // What is held has nobody to go to, and a step that was never sent must stay so.
        if self.held_step().is_some() {
            self.state.closing = true;
        }
    }

    fn end_server(&mut self) {
        self.state.server_ended = true;
        self.end_unanswered(true);
        self.list();
    }

    /// Moves on what waits, as far as the gate and the step under way let it.
    fn advance(&mut self) {
        while self.state.offered.is_none() && !self.state.closing {
            let may_offer = self.state.held_reply.is_none() && self.session.is_quiet();
            match self.state.waiting.pop_front() {
                Some(Waiting::Loose(bytes)) => self.state.to_server.push(&bytes),
                Some(Waiting::Step(assembly)) if may_offer => self.offer(*assembly),
                Some(step) => return self.state.waiting.push_front(step),
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
            Decision::Hold => self.state.offered = Some(offered),
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
            RequestAction::Precede(sql) if offered.step.kind != StepKind::Startup => {
                let mut bytes = self.session.send_own(&sql, now);
                bytes.extend(self.session.send(offered, now));
                bytes
            }
            RequestAction::Drop | RequestAction::Replace(_) | RequestAction::Precede(_) => {
                let refused = self.session.refuse(offered, now);
                self.record(refused);
                self.state.closing = true;
                return;
            }
        };
        self.state.to_server.push(&bytes);
        self.end_unanswered(false);
    }

    fn take_completed(&mut self, mut completed: Completed) {
        let step = &completed.step;
        if step.kind == StepKind::Startup {
            self.tell(SessionEvent::Opened {
                session: self.id,
                pid: self.session.pid,
            });
        }
        let bytes = completed
            .bytes
            .take()
            .filter(|_| step.kind != StepKind::Injected);
        let gate = bytes.as_ref().and_then(|_| self.shared.gate());
        let decision = gate.map_or(Decision::Now(ReplyAction::Deliver), |gate| {
            gate.on_reply(step, &completed.reply)
        });
        let id = step.id;
        self.record(completed);
        match (decision, bytes) {
            (Decision::Hold, Some(bytes)) => {
                self.state.held_reply = Some(HeldReply { step: id, bytes });
            }
            (Decision::Now(ReplyAction::Drop), _) => self.state.closing = true,
            (_, bytes) => self.state.to_client.push(&bytes.unwrap_or_default()),
        }
        self.advance();
    }

    /// Ends the steps that get no reply, because the server skips them or is gone.
    fn end_unanswered(&mut self, connection_ended: bool) {
        while let Some(completed) = self.session.next_unanswered(connection_ended) {
            self.take_completed(completed);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Request(number, action) => {
                if let Some(offered) = self
                    .state
                    .offered
                    .take_if(|offered| offered.step.id.number == number)
                {
                    self.request(offered, action);
                    self.advance();
                }
            }
            Command::Reply(number, action) => {
                if let Some(held) = self
                    .state
                    .held_reply
                    .take_if(|held| held.step.number == number)
                {
                    self.give(held, action);
                }
            }
            Command::DeliverAll => {
                if let Some(offered) = self.state.offered.take() {
                    self.request(offered, RequestAction::Deliver);
                }
                if let Some(held) = self.state.held_reply.take() {
                    self.give(held, ReplyAction::Deliver);
                }
                self.advance();
            }
            Command::Close => self.state.closing = true,
        }
        self.list();
    }

    fn give(&mut self, held: HeldReply, action: ReplyAction) {
        match action {
            ReplyAction::Deliver => self.state.to_client.push(&held.bytes),
            ReplyAction::Drop => self.state.closing = true,
        }
        self.advance();
    }

    /// Accounts for what the end of the connection leaves behind.
    fn close(&mut self) {
        let abandoned = self.held_step();
        if let Some(offered) = self.state.offered.take() {
            let refused = self.session.refuse(offered, Instant::now());
            self.record(refused);
        }
        while let Some(completed) = self.session.next_unanswered(true) {
            self.record(completed);
        }
        self.tell(SessionEvent::Closed {
            session: self.id,
            abandoned,
        });
    }

    fn held_step(&self) -> Option<StepId> {
        let offered = self.state.offered.as_ref().map(|offered| offered.step.id);
        offered.or(self.state.held_reply.as_ref().map(|held| held.step))
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

    fn record(&self, completed: Completed) {
        let Some(trace) = self.shared.trace() else {
            return;
        };
        trace.record(Record {
            invoked_us: self.shared.since_began_us(completed.invoked),
            sent_us: self.shared.since_began_us(completed.sent),
            completed_us: self.shared.since_began_us(Instant::now()),
            step: completed.step,
            reply: completed.reply,
            replaced_by: completed.replaced_by,
            cancels: None,
        });
    }
}

/// Passes a CancelRequest on and waits, as its sender does, until the server has taken it.
pub(super) async fn pass_cancel(packet: &[u8], server: &mut Stream) -> io::Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    server.write_all(packet).await?;
    server.read(&mut [0; 1]).await.map(drop)
}
