//! Accepts connections and starts a task for each.
//!
//! The listener outlives the server. While the server is away a connection is
//! accepted and closed again, and the next one finds the server if it is back.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::assembly::Assembly;
use super::control::{Control, Listing, Shared};
use super::message;
use super::passage::Passage;
use super::pump::{self, Pump};
use super::startup::{Opening, read_opening};
use super::step::{Reply, ReplyEnd, SessionId, Statement, Step, StepId, StepKind};
use super::stream::{Address, Stream};
use super::trace::Record;

/// How long to let go before accepting again when the system has no file descriptor to give.
const PAUSE_WITHOUT_DESCRIPTORS: Duration = Duration::from_millis(10);

/// A running proxy. Dropping it closes its listener and all its connections.
#[derive(Debug)]
pub struct Proxy {
    control: Control,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of the loopback interface, on the current tokio runtime.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(upstream: Address) -> io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), upstream).await
    }

    /// Listens on `address`, on the current tokio runtime.
    ///
    /// # Errors
    /// If the address cannot be had.
    pub async fn start_on(address: SocketAddr, upstream: Address) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let shared = Arc::new(Shared::new(listener.local_addr()?, upstream));
        let listening = tokio::spawn(listen(listener, Arc::clone(&shared)));
        Ok(Self {
            control: Control(shared),
            listening,
        })
    }

    /// The handle to watch and drive it.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Closes the listener and all connections, and returns when they are closed.
    pub async fn stop(mut self) {
        self.listening.abort();
        // The task was cancelled: that is what it reports.
        let _ = (&mut self.listening).await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(serve(client, Arc::clone(&shared)));
                }
                Err(error) => {
                    tracing::warn!(%error, "the proxy could not accept a connection");
                    tokio::time::sleep(PAUSE_WITHOUT_DESCRIPTORS).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection's task failed");
                }
            }
        }
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let id = shared.next_session();
    if let Err(error) = connect(client, id, shared).await {
        tracing::debug!(session = %id, %error, "a connection did not come to its start-up");
    }
}

async fn connect(client: TcpStream, id: SessionId, shared: Arc<Shared>) -> io::Result<()> {
    let mut client = Stream::tcp(client)?;
    let opening = read_opening(&mut client).await?;
    let upstream = Control(Arc::clone(&shared)).upstream();
    let mut server = upstream.connect().await?;
    let packet = match opening {
        Opening::Startup(packet) => packet,
        Opening::Cancel(packet) => {
            record_cancel(&shared, id, &packet);
            return pump::pass_cancel(&packet, &mut server).await;
        }
    };
    let parameters = message::startup_parameters(&packet);
    let of = |name| parameters.get(name).map_or("?", String::as_str);
    let summary = format!("user={} database={}", of("user"), of("database"));
    let startup = Assembly::startup(packet, summary, Instant::now());
    let (listing, commands) = Listing::new(&shared, id, parameters);
    let passage = Passage::new(id, shared, listing);
    Pump::new(client, server, commands, passage)
        .run(startup)
        .await;
    Ok(())
}

fn record_cancel(shared: &Shared, id: SessionId, packet: &[u8]) {
    shared.record(|| {
        let cancelled = shared.with_cancel_key(Opening::cancel_key(packet));
        let whom = cancelled
            .as_ref()
            .map_or("nobody".to_owned(), |session| session.id.to_string());
        let now_ns = shared.since_began_ns(Instant::now());
        Record {
            step: Step {
                id: StepId {
                    session: id,
                    number: 0,
                },
                pid: cancelled.as_ref().and_then(|session| session.pid),
                transaction: 0,
                kind: StepKind::Cancel,
                state_before: None,
                statements: vec![Statement {
                    sql: whom,
                    parameters: Vec::new(),
                }],
            },
            reply: Reply::empty(ReplyEnd::Unanswered),
            replaced_by: None,
            cancels: cancelled.map(|session| session.id),
            invoked_ns: now_ns,
            sent_ns: now_ns,
            completed_ns: now_ns,
        }
    });
}
