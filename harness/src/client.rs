//! One buyer: an HTTP/1.1 connection of its own, and what comes back on it.
//!
//! A client never retries and never guesses: an answer that did not arrive whole is
//! [`Completion::Info`].

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use rowlock_core::answer::Unknown;
use rowlock_shop::history::{Completion, Operation, Refusal, Request};

/// The largest answer that is read, in bytes; what a purchase says fits many times over.
const MAX_BODY: usize = 64 * 1024;

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

/// A whole HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
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

    /// Sends `request` on a connection of its own, and waits for `patience` at most, the
    /// connection's opening included. Without a connection it was [not sent](Refusal::NotSent).
    pub async fn purchase_once(
        address: SocketAddr,
        clock: Clock,
        patience: Duration,
        request: Request,
    ) -> Operation {
        let deadline = Instant::now() + patience;
        let invoked_ns = clock.now_ns();
        match timeout(patience, Client::connect(address, clock, patience)).await {
            Ok(Ok(mut client)) => {
                client.patience = deadline.saturating_duration_since(Instant::now());
                client.purchase(request).await
            }
            Ok(Err(_)) | Err(_) => Operation {
                request,
                intended_ns: invoked_ns,
                invoked_ns,
                completed_ns: clock.now_ns(),
                status: None,
                completion: Completion::Fail(Refusal::NotSent),
            },
        }
    }

    /// Whether the connection can still carry a request.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends `request` now and waits for its answer.
    pub async fn purchase(&mut self, request: Request) -> Operation {
        self.purchase_as_of(request, self.clock.now_ns()).await
    }

    /// Sends `request` now, although it was meant to go at `intended_ns`.
    pub async fn purchase_as_of(&mut self, request: Request, intended_ns: u64) -> Operation {
        let message = purchase_message(&request, self.address);
        let invoked_ns = self.clock.now_ns();
        let answered = timeout(self.patience, send(&mut self.sender, message)).await;
        let completed_ns = self.clock.now_ns();
        let (status, completion) = match answered {
            Ok(Ok(answer)) => (Some(answer.status), judge(&answer)),
            Ok(Err(Broken::NotSent)) => (None, Completion::Fail(Refusal::NotSent)),
            Ok(Err(Broken::Lost(_))) => (None, Completion::Info(Unknown::ConnectionLost)),
            Err(_) => (None, Completion::Info(Unknown::TimedOut)),
        };
        Operation {
            request,
            intended_ns,
            invoked_ns,
            completed_ns,
            status,
            completion,
        }
    }

    /// Sends `request` and hangs up as soon as `hang_up` is ready, whatever has come by then.
    pub async fn purchase_and_hang_up(
        mut self,
        request: Request,
        hang_up: impl Future<Output = ()>,
    ) -> Operation {
        let clock = self.clock;
        let invoked_ns = clock.now_ns();
        let unknown = Operation {
            request: request.clone(),
            intended_ns: invoked_ns,
            invoked_ns,
            completed_ns: invoked_ns,
            status: None,
            completion: Completion::Info(Unknown::HungUp),
        };
        let answered = tokio::select! {
            biased;
            () = hang_up => None,
            operation = self.purchase(request) => Some(operation),
        };
        drop(self);
        answered.unwrap_or_else(|| Operation {
            completed_ns: clock.now_ns(),
            ..unknown
        })
    }

    /// Sends `GET path` and waits for the answer.
    ///
    /// # Errors
    /// A connection that broke, or no answer within the client's patience.
    pub async fn get(&mut self, path: &str) -> io::Result<Answer> {
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

fn purchase_message(request: &Request, address: SocketAddr) -> hyper::Request<Full<Bytes>> {
    let body = serde_json::to_vec(&request.order).expect("an order is plain JSON");
    let mut builder = hyper::Request::post("/api/purchase/")
        .header(HOST, address.to_string())
        .header(CONTENT_TYPE, "application/json");
    if let Some(key) = &request.key {
        builder = builder.header("idempotency-key", key);
    }
    builder
        .body(Full::from(body))
        .expect("scenarios choose keys that are header values")
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
) -> Result<Answer, Broken> {
    sender.ready().await.map_err(|_| Broken::NotSent)?;
    let sent = sender.try_send_request(message).await;
    // hyper hands the message back exactly where it wrote nothing of it.
    let response = sent.map_err(|mut error| match error.take_message() {
        Some(_) => Broken::NotSent,
        None => Broken::Lost(error.into_error()),
    })?;
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            let room = MAX_BODY - whole.len();
            whole.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok(Answer {
        status,
        body: whole.into(),
    })
}

/// The part of problem+json (RFC 9457) that a verdict rests on.
#[derive(Deserialize)]
struct Problem {
    code: String,
}

/// What an answer says of its purchase.
fn judge(answer: &Answer) -> Completion {
    let problem = || serde_json::from_slice::<Problem>(&answer.body);
    match answer.status {
        200 | 201 => Completion::Ok(serde_json::from_slice(&answer.body).unwrap_or_default()),
        429 | 503 => Completion::Fail(Refusal::Busy),
        500.. => Completion::Info(Unknown::ServerError),
        status => {
            let code = problem().ok().map(|problem| problem.code);
            Completion::Fail(refusal(status, code.as_deref()))
        }
    }
}

/// Why a request was refused. A code that we know says it under any status; without one the
/// status says whether the shop refused at all.
fn refusal(status: u16, code: Option<&str>) -> Refusal {
    let words = || match code {
        Some(code) => format!("{status} {code}"),
        None => format!("{status} without a code"),
    };
    match (code, status) {
        (Some("out_of_stock"), _) => Refusal::OutOfStock,
        (Some("insufficient_balance"), _) => Refusal::InsufficientBalance,
        (Some("unknown_item"), _) => Refusal::UnknownItem,
        (Some("unknown_user"), _) => Refusal::UnknownUser,
        (Some("idempotency_key_reused"), _) => Refusal::KeyReused,
        (Some("invalid_request"), _) => Refusal::Other(words()),
        (_, 409) => Refusal::Conflict,
        // What shops refuse purchases with: bad request, payment required, forbidden, not found,
        // gone, unprocessable content.
        (_, 400 | 402 | 403 | 404 | 410 | 422) => Refusal::Unstated(words()),
        _ => Refusal::Other(words()),
    }
}

#[cfg(test)]
mod tests;
