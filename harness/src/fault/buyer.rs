//! A buyer whose connection the harness can cut at any moment, while others see it buy.
//!
//! Unlike [`Client`](crate::client::Client) it speaks the few bytes of HTTP that it needs
//! itself, since no HTTP library hangs up half-way on demand.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rowlock_core::answer::Unknown;
use rowlock_shop::history::{Completion, Operation, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::shop;
use crate::client::Clock;

/// How long a target may take to notice that its client has left, before the fault goes on
/// without waiting for it.
const NOTICE_BOUND: Duration = Duration::from_millis(200);

/// A request that was sent, and will be left unanswered.
#[derive(Debug)]
pub(super) struct Deserter {
    stream: TcpStream,
    request: Request,
    clock: Clock,
    invoked_ns: u64,
}

impl Deserter {
    /// Sends `request` on a connection of its own.
    pub(super) async fn send(
        address: SocketAddr,
        request: Request,
        clock: Clock,
    ) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let message = shop::message(&request, address);
        let invoked_ns = clock.now_ns();
        stream.write_all(message.as_bytes()).await?;
        Ok(Deserter {
            stream,
            request,
            clock,
            invoked_ns,
        })
    }

    /// Hangs up, and waits until the target has noticed or [`NOTICE_BOUND`] is over.
    pub(super) async fn leave(mut self) -> Operation {
        // Whatever fails here, the connection is over, which is all that is wanted.
        let _ = self.stream.shutdown().await;
        let mut rest = Vec::new();
        let _ = timeout(NOTICE_BOUND, self.stream.read_to_end(&mut rest)).await;
        Operation {
            request: self.request,
            intended_ns: self.invoked_ns,
            invoked_ns: self.invoked_ns,
            completed_ns: self.clock.now_ns(),
            status: None,
            completion: Completion::Info(Unknown::HungUp),
        }
    }
}
