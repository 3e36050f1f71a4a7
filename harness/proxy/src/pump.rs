//! Moves the bytes of one connection between its two sockets.
//!
//! One task polls both sockets and its command queue, and nothing is shared between
//! the directions but that task, so neither waits for the other. What passes when is decided by
//! [`Passage`]; this file only reads, writes and notices ends.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::assembly::Assembly;
use super::control::Command;
use super::passage::Passage;
use super::stream::Stream;

/// One connection of the target with its connection to the server.
pub(super) struct Pump {
    client: Stream,
    server: Stream,
    commands: mpsc::UnboundedReceiver<Command>,
    passage: Passage,
    /// Nothing more is written to the server.
    server_shut: bool,
}

impl Pump {
    pub(super) fn new(
        client: Stream,
        server: Stream,
        commands: mpsc::UnboundedReceiver<Command>,
        passage: Passage,
    ) -> Self {
        Self {
            client,
            server,
            commands,
            passage,
            server_shut: false,
        }
    }

    /// Runs the connection to its end, beginning with its start-up packet.
    pub(super) async fn run(mut self, startup: Assembly) {
        self.passage.begin(startup);
        poll_fn(|cx| self.poll(cx)).await;
        self.passage.close();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(Some(command)) = self.commands.poll_recv(cx) {
            self.passage.obey(command);
        }
        loop {
            while self.poll_from_client(cx) {}
            let mut server_sent = false;
            while self.poll_from_server(cx) {
                server_sent = true;
            }
            if self.passage.is_over() {
                return Poll::Ready(());
            }
            // A reply may have set free what the client sent before; else each side has been
            // polled until it had nothing, which is all that a wake-up needs.
            if !(server_sent && self.passage.has_news_for_server()) {
                return Poll::Pending;
            }
        }
    }

    /// Writes what the server is to have, then reads what the client sends; says if it sent any.
    fn poll_from_client(&mut self, cx: &mut Context<'_>) -> bool {
        let is_ready = !self.passage.closing && self.flush_to_server(cx);
        if !is_ready || !self.passage.reads_client() {
            return false;
        }
        match self.passage.to_server.poll_read(&mut self.client, cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(0)) => self.passage.end_client(),
            Poll::Ready(Ok(length)) => self.passage.take_from_client(length),
            // A client that resets its connection waits for no reply.
            Poll::Ready(Err(_)) => {
                self.passage.end_client();
                self.passage.closing = true;
            }
        }
        self.flush_to_server(cx);
        true
    }

    /// Writes to the server until nothing is left; says whether that was reached.
    fn flush_to_server(&mut self, cx: &mut Context<'_>) -> bool {
        if self.server_shut {
            self.passage.to_server.clear();
            return true;
        }
        match self.passage.to_server.poll_write(&mut self.server, cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) => {}
            // The server may have said why before it closed: its words are still to be read.
            Poll::Ready(Err(_)) => {
                self.passage.to_server.clear();
                self.server_shut = true;
            }
        }
        if self.passage.has_sent_all() && !self.server_shut {
            // An orderly end is passed on as such; the server finishes what it was given.
            let _ = Pin::new(&mut self.server).poll_shutdown(cx);
            self.server_shut = true;
        }
        true
    }

    /// Writes what the client is to have, then reads what the server sends; says if it sent any.
    fn poll_from_server(&mut self, cx: &mut Context<'_>) -> bool {
        let is_ready = !self.passage.closing && self.flush_to_client(cx);
        if !is_ready || !self.passage.reads_server() {
            return false;
        }
        match self.passage.to_client.poll_read(&mut self.server, cx) {
            Poll::Pending => return false,
            Poll::Ready(Ok(0) | Err(_)) => self.passage.end_server(),
            Poll::Ready(Ok(length)) => self.passage.take_from_server(length),
        }
        self.flush_to_client(cx);
        true
    }

    /// Writes to the client until nothing is left; says whether that was reached.
    fn flush_to_client(&mut self, cx: &mut Context<'_>) -> bool {
        match self.passage.to_client.poll_write(&mut self.client, cx) {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(_)) => {
                self.passage.closing = true;
                false
            }
        }
    }
}

/// Passes a CancelRequest on and waits, as its sender does, until the server has taken it.
pub(super) async fn pass_cancel(packet: &[u8], server: &mut Stream) -> io::Result<()> {
    server.write_all(packet).await?;
    server.read(&mut [0; 1]).await.map(drop)
}
