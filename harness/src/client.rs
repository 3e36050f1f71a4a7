//! A client: an HTTP/1.1 connection of its own, and what comes back on it.
//!
//! It never retries and never guesses: an answer that did not arrive whole is none
//! ([`NoReply`]). What an answer means is not its affair.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderMap};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use rowlock_core::answer::Unknown;
use rowlock_core::call::{Call, NoReply, Reply};

/// The largest answer that is read, in bytes; what is read of one says enough.
pub(crate) const MAX_BODY: usize = 1024 * 1024;

/// Counts a trial's time, in ns since it was made.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Clock(Instant::now())
    }

    /// Nanoseconds since the start.
    pub fn now_ns(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// An open connection to a target.
#[derive(Debug)]
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    clock: Clock,
    patience: Duration,
}

/// A call and what came of it. Times are nanoseconds of the client's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// When it was sent.
    pub invoked_ns: u64,
    /// When its answer was complete, or given up.
    pub completed_ns: u64,
    /// Its answer, if one came whole.
    pub reply: Result<Reply, NoReply>,
}

impl Client {
    /// Opens a connection to `address`. Operations are timed by `clock`, and given up after
    /// `patience`.
    ///
    /// # Errors
    /// What the operating system says of the connection.
    pub async fn connect(
        address: SocketAddr,
        clock: Clock,
        patience: Duration,
    ) -> io::Result<Client> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(16 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // The connection's end reaches the client through its sender.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Client {
            sender,
            address,
            clock,
            patience,
        })
    }

    /// Whether the connection can still carry a request.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Another connection to the same address, with the same clock and patience.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_again(&self) -> io::Result<Client> {
        Client::connect(self.address, self.clock, self.patience).await
    }

    /// The clock by which it times.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The same connection, whose answers are given up after `patience`.
    pub fn with_patience(self, patience: Duration) -> Client {
        Client { patience, ..self }
    }

    /// Sends `call` now and waits for its answer.
    ///
    /// # Panics
    /// On a call that is none in HTTP: a method, path or header with other characters.
    pub async fn ask(&mut self, call: &Call) -> Exchange {
        let message = message(call, self.address);
        let invoked_ns = self.clock.now_ns();
        let answered = timeout(self.patience, send(&mut self.sender, message)).await;
        let completed_ns = self.clock.now_ns();
        let reply = match answered {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(Broken::NotSent)) => Err(NoReply::NotSent),
            Ok(Err(Broken::Lost(_))) => Err(NoReply::Unknown(Unknown::ConnectionLost)),
            Err(_) => Err(NoReply::Unknown(Unknown::TimedOut)),
        };
        Exchange {
            invoked_ns,
            completed_ns,
            reply,
        }
    }

    /// Sends `GET path` and waits for the answer.
    ///
    /// # Errors
    /// A connection that broke, or no answer within the client's patience.
    pub async fn get(&mut self, path: &str) -> io::Result<Reply> {
        let message = hyper::Request::get(path)
            .header(HOST, self.address.to_string())
            .body(Full::default())
            .map_err(io::Error::other)?;
        match timeout(self.patience, send(&mut self.sender, message)).await {
            Ok(answer) => answer.map_err(io::Error::other),
            Err(elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, elapsed)),
        }
    }
}

fn message(call: &Call, address: SocketAddr) -> hyper::Request<Full<Bytes>> {
    let builder = hyper::Request::builder()
        .method(call.method.as_str())
        .uri(&call.path)
        .header(HOST, address.to_string());
    let headers = call.headers.iter();
    let builder = headers.fold(builder, |builder, (name, value)| {
        builder.header(name, value)
    });
    builder
        .body(Full::from(call.body.clone()))
        .expect("a call is an HTTP request")
}

/// Why a connection brought no answer.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the connection was closed before the request was written")]
    NotSent,
    #[error("the connection broke before the answer was complete")]
    Lost(#[from] hyper::Error),
}

async fn send(
    sender: &mut SendRequest<Full<Bytes>>,
    message: hyper::Request<Full<Bytes>>,
) -> Result<Reply, Broken> {
    sender.ready().await.map_err(|_| Broken::NotSent)?;
    let sent = sender.try_send_request(message).await;
    // hyper hands the message back exactly where it wrote nothing of it.
    let response = sent.map_err(|mut error| match error.take_message() {
        Some(_) => Broken::NotSent,
        None => Broken::Lost(error.into_error()),
    })?;
    let status = response.status().as_u16();
    let headers = headers(response.headers());
    let mut body = response.into_body();
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            let room = MAX_BODY - whole.len();
            whole.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok(Reply {
        status,
        headers,
        body: whole,
    })
}

fn headers(map: &HeaderMap) -> Vec<(String, String)> {
    let readable = map.iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    readable.collect()
}
