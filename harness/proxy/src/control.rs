//! The handle by which others watch and drive a proxy while it runs.
//!
//! Connections look up gate and trace at each step, so both come and go at any
//! time; a flag tells them cheaply that there is neither. Commands to a connection go through its
//! own queue, so that only its own task ever touches its bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::mpsc;

use super::assembly::Watch;
use super::gate::{Gate, ReplyAction, RequestAction};
use super::session::Session;
use super::step::{SessionId, StepId, TransactionState};
use super::stream::Address;
use super::trace::{Record, Trace};

const OBSERVED: u8 = 1;
const HELD: u8 = 2;
const KEPT: u8 = 4;

/// What a proxy knows of one open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The session.
    pub id: SessionId,
    /// Its server process; unknown until the start-up is answered.
    pub pid: Option<i32>,
    /// The parameters of its start-up packet, such as `user` and `database`.
    pub parameters: BTreeMap<String, String>,
    /// Number of its latest transaction.
    pub transaction: u64,
    /// Where it stood after its latest reply.
    pub state: Option<TransactionState>,
    /// The step that is held or awaits its reply.
    pub step: Option<StepId>,
}

impl SessionInfo {
    /// Whether it is in a transaction, failed or not, and nothing runs in it.
    pub fn is_idle_in_transaction(&self) -> bool {
        let in_transaction = matches!(
            self.state,
            Some(TransactionState::Open | TransactionState::Failed)
        );
        in_transaction && self.step.is_none()
    }
}

/// Watches and drives a proxy; cheap to clone, and usable from any thread.
#[derive(Clone)]
pub struct Control(pub(super) Arc<Shared>);

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("address", &self.0.address)
            .finish_non_exhaustive()
    }
}

impl Control {
    /// Where the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Where new connections are opened to.
    pub fn upstream(&self) -> Address {
        lock(&self.0.upstream).clone()
    }

    /// Opens new connections to another server; those that are open stay.
    pub fn set_upstream(&self, upstream: Address) {
        *lock(&self.0.upstream) = upstream;
    }

    /// Installs a gate for all steps that begin from now on, or takes it away, which delivers
    /// all that is held. A gate that takes another's place takes over what that one held.
    pub fn set_gate(&self, gate: Option<Arc<dyn Gate>>) {
        let is_gone = gate.is_none();
        self.0.set_flag(HELD, !is_gone);
        *self.0.gate.write().unwrap_or_else(PoisonError::into_inner) = gate;
        if is_gone {
            for session in lock(&self.0.sessions).values() {
                session.command(Command::DeliverAll);
            }
        }
    }

    /// Listens to all steps that begin from now on, or no more.
    pub fn set_trace(&self, trace: Option<Arc<dyn Trace>>) {
        self.0.set_flag(OBSERVED, trace.is_some());
        *self.0.trace.write().unwrap_or_else(PoisonError::into_inner) = trace;
    }

    /// Listens to all steps that begin from now on for as long as the proxy runs, beside whoever
    /// [`Control::set_trace`] lets listen for a while. The latest takes an earlier one's place.
    pub fn keep_trace(&self, trace: Arc<dyn Trace>) {
        *self.0.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(trace);
        self.0.set_flag(KEPT, true);
    }

    /// When the proxy began, which is what the times of its records count from.
    pub fn began(&self) -> Instant {
        self.0.began
    }

    /// The open sessions, in the order in which they came.
    pub fn sessions(&self) -> Vec<SessionInfo> {
        lock(&self.0.sessions)
            .values()
            .map(|entry| lock(&entry.info).clone())
            .collect()
    }

    /// Releases a held step. Says false if its session is closed; a step that is not held, or
    /// no more, is left alone.
    pub fn release_request(&self, step: StepId, action: RequestAction) -> bool {
        self.0
            .command(step.session, Command::Request(step.number, action))
    }

    /// Releases a held reply, on the same terms.
    pub fn release_reply(&self, step: StepId, action: ReplyAction) -> bool {
        self.0
            .command(step.session, Command::Reply(step.number, action))
    }

    /// Closes both connections of a session. Says false if it is closed already.
    pub fn close(&self, session: SessionId) -> bool {
        self.0.command(session, Command::Close)
    }
}

/// What a connection's task is told from outside.
#[derive(Debug)]
pub(super) enum Command {
    Request(u64, RequestAction),
    Reply(u64, ReplyAction),
    DeliverAll,
    Close,
}

/// The state that a proxy's connections have in common.
pub(super) struct Shared {
    pub(super) began: Instant,
    address: SocketAddr,
    upstream: Mutex<Address>,
    watch: AtomicU8,
    gate: RwLock<Option<Arc<dyn Gate>>>,
    trace: RwLock<Option<Arc<dyn Trace>>>,
    kept: RwLock<Option<Arc<dyn Trace>>>,
    sessions: Mutex<BTreeMap<SessionId, Arc<Entry>>>,
    next_session: AtomicU64,
}

impl Shared {
    pub(super) fn new(address: SocketAddr, upstream: Address) -> Self {
        Self {
            began: Instant::now(),
            address,
            upstream: Mutex::new(upstream),
            watch: AtomicU8::new(0),
            gate: RwLock::new(None),
            trace: RwLock::new(None),
            kept: RwLock::new(None),
            sessions: Mutex::default(),
            next_session: AtomicU64::new(1),
        }
    }

    pub(super) fn watch(&self) -> Watch {
        let flags = self.watch.load(Ordering::Acquire);
        Watch {
            observe: flags != 0,
            hold: flags & HELD != 0,
        }
    }

    pub(super) fn gate(&self) -> Option<Arc<dyn Gate>> {
        self.gate
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Tells whoever listens what `record` makes; nothing is made where nobody does.
    pub(super) fn record(&self, record: impl FnOnce() -> Record) {
        let listener = |trace: &RwLock<Option<Arc<dyn Trace>>>| {
            trace.read().unwrap_or_else(PoisonError::into_inner).clone()
        };
        match (listener(&self.trace), listener(&self.kept)) {
            (Some(trace), Some(kept)) => {
                let record = record();
                trace.record(record.clone());
                kept.record(record);
            }
            (Some(only), None) | (None, Some(only)) => only.record(record()),
            (None, None) => {}
        }
    }

    pub(super) fn next_session(&self) -> SessionId {
        SessionId(self.next_session.fetch_add(1, Ordering::Relaxed))
    }

    /// Nanoseconds from the proxy's beginning to `instant`.
    pub(super) fn since_began_ns(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.began).as_nanos() as u64
    }

    /// The session whose backend a CancelRequest with this key would reach.
    pub(super) fn with_cancel_key(&self, key: &[u8]) -> Option<SessionInfo> {
        let sessions = lock(&self.sessions);
        let entry = sessions
            .values()
            .find(|entry| *lock(&entry.cancel_key) == key)?;
        Some(lock(&entry.info).clone())
    }

    fn set_flag(&self, flag: u8, is_set: bool) {
        match is_set {
            true => self.watch.fetch_or(flag, Ordering::AcqRel),
            false => self.watch.fetch_and(!flag, Ordering::AcqRel),
        };
    }

    fn command(&self, session: SessionId, command: Command) -> bool {
        lock(&self.sessions)
            .get(&session)
            .is_some_and(|entry| entry.command(command))
    }
}

/// A session's place among the open ones.
#[derive(Debug)]
struct Entry {
    commands: mpsc::UnboundedSender<Command>,
    info: Mutex<SessionInfo>,
    cancel_key: Mutex<Vec<u8>>,
}

impl Entry {
    fn command(&self, command: Command) -> bool {
        self.commands.send(command).is_ok()
    }
}

/// Keeps a session listed for as long as its task lives, however that ends.
pub(super) struct Listing {
    shared: Arc<Shared>,
    id: SessionId,
    entry: Arc<Entry>,
}

impl Listing {
    pub(super) fn new(
        shared: &Arc<Shared>,
        id: SessionId,
        parameters: BTreeMap<String, String>,
    ) -> (Self, mpsc::UnboundedReceiver<Command>) {
        let (commands, receiver) = mpsc::unbounded_channel();
        let info = SessionInfo {
            id,
            pid: None,
            parameters,
            transaction: 0,
            state: None,
            step: None,
        };
        let entry = Arc::new(Entry {
            commands,
            info: info.into(),
            cancel_key: Mutex::default(),
        });
        lock(&shared.sessions).insert(id, Arc::clone(&entry));
        (
            Self {
                shared: Arc::clone(shared),
                id,
                entry,
            },
            receiver,
        )
    }

    /// Brings what others see of the session up to date.
    pub(super) fn update(&self, session: &Session, step: Option<StepId>) {
        let mut info = lock(&self.entry.info);
        if info.pid != session.pid {
            info.pid = session.pid;
            lock(&self.entry.cancel_key).clone_from(&session.cancel_key);
        }
        (info.transaction, info.state, info.step) = (session.transaction, session.state, step);
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        lock(&self.shared.sessions).remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
