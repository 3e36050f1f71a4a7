//! Clients that hold connections, stop half-way, and send what is no HTTP.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::common::BOUND;
use super::common::client::purchase_request;
use super::nonsense;

/// Between two bytes of a slow client's headers.
const DRIP: Duration = Duration::from_millis(500);
/// How many bodies stop, and how many clients send nonsense, at a time.
const STOPPERS: usize = 50;
const BABBLERS: usize = 20;
/// What was done so far.
#[derive(Default)]
struct Counts {
    slow: AtomicUsize,
    stopped: AtomicUsize,
    nonsense: AtomicUsize,
}

/// What was done in all.
pub(super) struct Tally {
    slow: usize,
    stopped: usize,
    nonsense: usize,
}

impl Tally {
    /// Whether each kind came more often than it has clients.
    pub(super) fn is_substantial(&self) -> bool {
        self.stopped > STOPPERS && self.nonsense > BABBLERS * nonsense::COUNT
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            slow,
            stopped,
            nonsense,
        } = self;
        write!(
            f,
            "{slow} slow clients, {stopped} bodies that stopped, {nonsense} pieces of nonsense"
        )
    }
}

pub(super) struct Attack {
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

pub(super) fn start(address: SocketAddr, slow_clients: usize) -> Attack {
    let counts = Arc::new(Counts::default());
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    let mut spawn = |kind: Kind, number: usize| {
        for index in 0..number {
            let (counts, stop) = (Arc::clone(&counts), Arc::clone(&stop));
            clients.push(tokio::spawn(async move {
                for round in index.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    match kind {
                        Kind::Slow => drip(address, &counts, &stop).await,
                        Kind::Stopper => stop_half_way(address, round, &counts).await,
                        Kind::Babbler => babble(address, round, &counts).await,
                    }
                }
            }));
        }
    };
    spawn(Kind::Slow, slow_clients);
    spawn(Kind::Stopper, STOPPERS);
    spawn(Kind::Babbler, BABBLERS);
    Attack {
        counts,
        stop,
        clients,
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Slow,
    Stopper,
    Babbler,
}

impl Attack {
    /// Ends it, and waits until every client has left.
    pub(super) async fn stop(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        for client in join_all(self.clients).await {
            client.unwrap();
        }
        Tally {
            slow: self.counts.slow.load(Ordering::Relaxed),
            stopped: self.counts.stopped.load(Ordering::Relaxed),
            nonsense: self.counts.nonsense.load(Ordering::Relaxed),
        }
    }
}

/// Sends headers byte by byte, which never end, until the service closes the connection.
async fn drip(address: SocketAddr, counts: &Counts, stop: &AtomicBool) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    counts.slow.fetch_add(1, Ordering::Relaxed);
    let began = Instant::now();
    let headers = b"GET /healthz HTTP/1.1\r\nx-slow: ".iter();
    for byte in headers.chain(std::iter::repeat(&b'.')) {
        if stop.load(Ordering::Relaxed) || stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        assert!(began.elapsed() < BOUND, "slow headers are never given up");
        // Whatever the service says, it ends the connection.
        let mut said = [0; 256];
        if timeout(DRIP, stream.read(&mut said)).await.is_ok() {
            return;
        }
    }
}

/// Sends a part of a purchase's body, or all but the end of its headers, and waits.
async fn stop_half_way(address: SocketAddr, round: usize, counts: &Counts) {
    let (user_id, item_id) = super::RANDOM_ORDER;
    let request = purchase_request(user_id, item_id, None);
    let body = "{\"user_id\": 2, \"item_id\": 2}".len();
    let sent = request.len() - 1 - round % body;
    let mut stream = TcpStream::connect(address).await.unwrap();
    if stream.write_all(&request[..sent]).await.is_err() {
        return;
    }
    let answer = read_to_end(&mut stream, "a body that stops").await;
    assert!(is_harmless(&answer), "{}", String::from_utf8_lossy(&answer));
    counts.stopped.fetch_add(1, Ordering::Relaxed);
}

/// Sends a piece of nonsense, and waits until the service has closed the connection.
async fn babble(address: SocketAddr, round: usize, counts: &Counts) {
    let (what, bytes) = nonsense::piece(round);
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The service may close before it has read it all.
    stream.write_all(&bytes).await.ok();
    stream.shutdown().await.ok();
    let answer = read_to_end(&mut stream, what).await;
    assert!(
        is_harmless(&answer),
        "{what}: {}",
        String::from_utf8_lossy(&answer)
    );
    counts.nonsense.fetch_add(1, Ordering::Relaxed);
}

async fn read_to_end(stream: &mut TcpStream, what: &str) -> Vec<u8> {
    let mut answer = Vec::new();
    let read = timeout(BOUND, stream.read_to_end(&mut answer)).await;
    // A reset is an end, too.
    assert!(read.is_ok(), "{what}: the service never closes");
    answer
}

/// No server error, save that a read may be told to come again, and nothing bought.
fn is_harmless(answer: &[u8]) -> bool {
    let answer = String::from_utf8_lossy(answer);
    !answer.contains("HTTP/1.1 500 ") && !answer.contains("purchase_id")
}
