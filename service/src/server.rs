//! Listens, serves connections, and stops.
//!
//! The caller owns the listener and the stop signal, so whoever runs the server decides where it
//! listens and when it ends. It knows nothing of purchases.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout_at};

/// Connections that the kernel holds until they are accepted. It takes its own maximum
/// (`net.core.somaxconn`) if that is less.
const BACKLOG: u32 = 16_384;

/// The most of a request's head that is read, in bytes; also what bounds a connection's memory.
const MAX_HEAD: usize = 16 * 1024;

/// How long to leave a listener alone that cannot accept, because no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long the server waits.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For the head of a connection's next request.
    pub idle_timeout: Duration,
    /// For requests under way, after the stop signal.
    pub shutdown_timeout: Duration,
}

/// Listens on the first of the host's addresses that can be had, with a long backlog.
///
/// # Errors
/// If the host has no address, or none that is free.
pub async fn bind(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in tokio::net::lookup_host((host, port)).await? {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(refused) => error = refused,
        }
    }
    Err(error)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `shutdown`, then stops accepting and waits for the requests under way.
///
/// Returns when they are done, or their time is up, and says when that is.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> Instant {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.idle_timeout)
        .max_buf_size(MAX_HEAD);
    let connections = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let stream = tokio::select! {
            biased;
            () = &mut shutdown => break,
            stream = accept(&listener) => stream,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended early");
            }
        });
    }
    drop(listener);
    let deadline = Instant::now() + limits.shutdown_timeout;
    let open = connections.count();
    tracing::info!(open, "stopping");
    if timeout_at(deadline, connections.shutdown()).await.is_err() {
        tracing::warn!("gave up on requests that outlasted the shutdown");
    }
    deadline
}

/// Lets this process open as many files as it may: each client's connection is one.
pub fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "no TCP_NODELAY");
                }
                return stream;
            }
            // The client left before it was accepted; the listener is well.
            Err(error) if is_the_clients(&error) => {}
            // The listener would fail again at once, and keep a core busy with it.
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
