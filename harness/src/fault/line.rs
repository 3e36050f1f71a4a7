//! A client's connection to the target that is cut at a chosen moment, while others see it used.
//!
//! What passes is passed on as it is, so that any client can be on it: no HTTP library hangs up
//! half-way on demand, and tells when the other side has noticed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// How long a target may take to notice that its client has left, before the fault goes on
/// without waiting for it.
const NOTICE_BOUND: Duration = Duration::from_millis(200);

/// An address that leads to the target until it is cut.
#[derive(Debug)]
pub(super) struct Line {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    passing: JoinHandle<()>,
}

impl Line {
    /// Opens one to `target`.
    pub(super) async fn open(target: SocketAddr) -> io::Result<Line> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (cut, is_cut) = watch::channel(false);
        Ok(Line {
            address,
            cut,
            passing: tokio::spawn(pass_all(listener, target, is_cut)),
        })
    }

    /// Where a client connects.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hangs up, and waits until the target has noticed or [`NOTICE_BOUND`] is over.
    pub(super) async fn cut(self) {
        self.cut.send_replace(true);
        // A task that panicked has hung up, too.
        let _ = self.passing.await;
    }
}

/// Passes on each connection until all are cut.
async fn pass_all(listener: TcpListener, target: SocketAddr, is_cut: watch::Receiver<bool>) {
    let mut passing = JoinSet::new();
    let mut is_over = is_cut.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => drop(passing.spawn(pass(client, target, is_cut.clone()))),
                Err(_) => break,
            },
            _ = is_over.wait_for(|is_cut| *is_cut) => break,
        }
    }
    drop(listener);
    while passing.join_next().await.is_some() {}
}

async fn pass(mut client: TcpStream, target: SocketAddr, mut is_cut: watch::Receiver<bool>) {
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    // Small messages must not wait for each other.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        _ = is_cut.wait_for(|is_cut| *is_cut) => {}
    }
    // Whatever fails here, the connection is over, which is all that is wanted.
    let _ = server.shutdown().await;
    let mut rest = Vec::new();
    let _ = timeout(NOTICE_BOUND, server.read_to_end(&mut rest)).await;
}
