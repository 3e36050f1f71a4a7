//! Where a trial happens: a database of its own, a target started on it, and the clock.
//!
//! A world is opened on the initial rows and closed into a [`Trial`]: what was asked, what
//! came of it, and which invariants hold.

use std::sync::Arc;
use std::time::Duration;

use purchase_service::order::{ItemId, UserId};
use rowlock_core::finding::Finding;
use rowlock_core::seed::Seed;
use rowlock_postgres::{Database, Server};
use rowlock_proxy::{Address, Control, Proxy};
use rowlock_shop::history::{Completion, Operation, Refusal, Request};
use rowlock_shop::invariant::{Capabilities, Evidence, JudgesFirst};
use rowlock_shop::judgement::judge;
use rowlock_shop::rows::Shop;

use crate::bounded::LOCK_BOUND;
use crate::client::{Client, Clock};
use crate::database::Inspector;
use crate::isolation::{Isolation, Level};
use crate::progress::Progress;
use crate::target::{Target, TargetError, TargetSpec};
use crate::trial::Trial;

/// Everything that a scenario is run with.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// The real PostgreSQL.
    pub server: &'a Server,
    /// The service under test.
    pub target: &'a TargetSpec,
    /// What the target's environment holds beside `DATABASE_URL`, `HOST` and `PORT`.
    pub target_env: Vec<(String, String)>,
    /// What all random choices come from.
    pub seed: Seed,
    /// How many buyers `concurrent-buyers` lets go at once.
    pub buyers: usize,
    /// The stocks for which it does so, one trial each.
    pub stocks: Vec<i64>,
    /// How long a client waits for an answer.
    pub patience: Duration,
    /// Where the run says what it is doing.
    pub progress: &'a Progress,
}

/// What kept a run from concluding: never a verdict on the target.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A database could not be made, restarted or dropped.
    #[error(transparent)]
    Postgres(#[from] rowlock_postgres::ServerError),
    /// The harness's own statement failed.
    #[error("the harness's own statement failed")]
    Sql(#[from] sqlx::Error),
    /// A lock that the target left kept the harness's own statement waiting.
    #[error(
        "the target has answered and still holds a lock: a statement of the harness's own waited \
         {} s for it. Open: {}. A target must end its transaction (COMMIT or ROLLBACK) before it \
         answers, also where it refuses", LOCK_BOUND.as_secs(), holders_in_words(holders)
    )]
    Locked {
        /// The target's sessions that were inside a transaction, each with its last statement.
        holders: Vec<String>,
    },
    /// The target's own tables refer to rows that must be put back.
    #[error(
        "the rows cannot be put back: tables of the target's own refer to them, and this role may \
         not keep foreign keys and triggers out of the way; it must be a superuser or, since \
         PostgreSQL 15, be granted SET on parameter session_replication_role"
    )]
    NotPutBack(#[source] sqlx::Error),
    /// The target did not start.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The proxy before the database found no port.
    #[error("no free port for the proxy")]
    Proxy(#[source] std::io::Error),
    /// A worker of the explorer could not be started.
    #[error("cannot start a worker")]
    Worker(#[source] std::io::Error),
    /// The program cannot be asked of this target.
    #[error("program {program} repeats an Idempotency-Key, and the target knows no such keys")]
    NoKeys {
        /// The program's name.
        program: String,
    },
    /// A client could not connect.
    #[error("cannot connect client {index} of {count} to the target")]
    Connect {
        /// Which of the clients, from 0.
        index: usize,
        /// How many there are.
        count: usize,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// One purchase on its own, with stock and balance, was not acknowledged.
    #[error(
        "the target does not sell: one plain purchase, alone, was answered {answer}. \
         It must listen on $PORT, use the tables item and wallet of $DATABASE_URL, and answer \
         POST /api/purchase/ as the README says"
    )]
    DoesNotSell {
        /// What came back.
        answer: String,
    },
}

fn holders_in_words(holders: &[String]) -> String {
    match holders {
        [] => "no transaction any more".into(),
        holders => holders.join("; "),
    }
}

impl EnvironmentError {
    /// The error and all that it comes from, on one line.
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text += &format!(": {error}");
            source = error.source();
        }
        text
    }
}

/// A database, a target on it, and what is known of the two.
#[derive(Debug)]
pub struct World<'a> {
    server: &'a Server,
    database: Database,
    inspector: Inspector,
    target: Target,
    proxy: Option<Proxy>,
    isolation: Option<Arc<Isolation>>,
    capabilities: Capabilities,
    initial: Shop,
    clock: Clock,
    patience: Duration,
}

impl<'a> World<'a> {
    /// Makes a database, starts the target on it, finds out what the target can do, and puts
    /// the `initial` rows there.
    ///
    /// # Errors
    /// [`EnvironmentError`]: none of it is the target's guilt, save that it does not sell at all.
    pub async fn open(setting: &Setting<'a>, initial: Shop) -> Result<Self, EnvironmentError> {
        let database = setting.server.create_database(&unique_name()).await?;
        Self::open_on(setting, initial, database, None).await
    }

    /// The same, with a proxy between the target and the database.
    ///
    /// # Errors
    /// As [`World::open`], and a proxy that finds no port.
    pub async fn open_proxied(
        setting: &Setting<'a>,
        initial: Shop,
    ) -> Result<Self, EnvironmentError> {
        let database = setting.server.create_database(&unique_name()).await?;
        let upstream = Address::of(&database.options());
        let proxy = Proxy::start(upstream)
            .await
            .map_err(EnvironmentError::Proxy)?;
        Self::open_on(setting, initial, database, Some(proxy)).await
    }

    async fn open_on(
        setting: &Setting<'a>,
        initial: Shop,
        database: Database,
        proxy: Option<Proxy>,
    ) -> Result<Self, EnvironmentError> {
        let mut inspector = Inspector::open(database.options()).await?;
        let url = match &proxy {
            None => database.url(),
            Some(proxy) => database.url_through(proxy.control().address()),
        };
        // From its first connection on, until another gate is set.
        let isolation = proxy
            .as_ref()
            .map(|proxy| Isolation::watch(proxy.control()));
        let target = Target::start(setting.target, &url, &setting.target_env).await?;
        inspector.note_standing_locks().await?;
        let clock = Clock::start();
        let patience = setting.patience;
        let capabilities = probe(&mut inspector, &target, clock, patience).await?;
        inspector.seed(&initial).await?;
        let server = setting.server;
        Ok(World {
            server,
            database,
            inspector,
            target,
            proxy,
            isolation,
            capabilities,
            initial,
            clock,
            patience,
        })
    }

    /// Puts other initial rows in the place of all that is there.
    ///
    /// # Errors
    /// The harness's own statements.
    pub async fn reset(&mut self, initial: Shop) -> Result<(), EnvironmentError> {
        self.inspector.clear().await?;
        self.inspector.seed(&initial).await?;
        self.initial = initial;
        Ok(())
    }

    /// The handle of the proxy, where there is one.
    pub fn proxy(&self) -> Option<&Control> {
        self.proxy.as_ref().map(Proxy::control)
    }

    /// The strictest isolation level that the target has spoken of since its start and before
    /// the first gate was set; none without a proxy.
    pub(crate) fn isolation_level(&self) -> Option<Level> {
        self.isolation
            .as_ref()
            .map(|isolation| isolation.strictest())
    }

    /// The PostgreSQL that the world is on.
    pub fn server(&self) -> &'a Server {
        self.server
    }

    /// The harness's own way into the database.
    pub fn inspector(&self) -> &Inspector {
        &self.inspector
    }

    /// What the target can do.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Where replica `index` of the target listens, counted round and round.
    pub fn address(&self, index: usize) -> std::net::SocketAddr {
        self.target.address(index)
    }

    /// Tells, at any time, whether the target has something to do, or opens a connection to the
    /// database; of a target in this process that is not known.
    pub fn activity(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let is_busy = self.target.activity();
        let proxy = self.proxy().cloned();
        let is_opening = move || {
            let sessions = proxy.as_ref().map(Control::sessions).unwrap_or_default();
            sessions.iter().any(|session| session.pid.is_none())
        };
        move || is_opening() || is_busy()
    }

    /// The trial's clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Connects client `index` to its replica.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn connect(&self, index: usize) -> std::io::Result<Client> {
        Client::connect(self.target.address(index), self.clock, self.patience).await
    }

    /// Sends one request on a connection of its own, and waits for `patience` at most.
    ///
    /// A target that takes no connection has not been asked ([`Refusal::NotSent`]).
    pub async fn purchase(&self, index: usize, request: Request, patience: Duration) -> Operation {
        let address = self.target.address(index);
        Client::purchase_once(address, self.clock, patience, request).await
    }

    /// Opens `count` connections, all of which stay open.
    ///
    /// # Errors
    /// [`EnvironmentError::Connect`] for the first that failed.
    pub async fn connect_all(&self, count: usize) -> Result<Vec<Client>, EnvironmentError> {
        use futures::{StreamExt, TryStreamExt};
        /// Connections being opened at once, fewer than the shortest listen backlog around.
        const RAMP: usize = 100;
        let connect = |index| async move {
            let connected = self.connect(index).await;
            connected.map_err(|source| EnvironmentError::Connect {
                index,
                count,
                source,
            })
        };
        futures::stream::iter((0..count).map(connect))
            .buffered(RAMP)
            .try_collect()
            .await
    }

    /// Lets the target come to rest and gathers what a verdict rests on; the target goes on.
    ///
    /// # Errors
    /// The harness's own statements.
    pub async fn gather(
        &self,
        history: Vec<Operation>,
        faults: bool,
    ) -> Result<Evidence, EnvironmentError> {
        let aftermath = self.inspector.wait_for_rest().await?;
        let rows = self.inspector.read(self.capabilities.purchase_rows).await?;
        let initial = self.initial.clone();
        let capabilities = self.capabilities;
        Ok(Evidence {
            initial,
            history,
            rows,
            aftermath,
            faults,
            capabilities,
        })
    }

    /// Lets the target come to rest, stops it, reads what it left, and judges the whole:
    /// every invariant, and the scenario's own `findings`.
    ///
    /// # Errors
    /// The harness's own statements.
    pub async fn close(
        self,
        name: &str,
        history: Vec<Operation>,
        faults: bool,
        findings: Vec<Finding>,
    ) -> Result<Trial, EnvironmentError> {
        let mut evidence = self.gather(history, faults).await?;
        self.target.stop().await;
        evidence.aftermath.deadlocks = self.inspector.deadlocks().await?;
        self.inspector.close().await;
        self.server.drop_database(&self.database).await?;
        let mut all = judge(&evidence);
        all.extend(findings);
        Ok(Trial::new(name, &evidence.history, all))
    }

    /// Stops the target and drops the database without a verdict.
    ///
    /// # Errors
    /// The database could not be dropped.
    pub async fn abandon(self) -> Result<(), EnvironmentError> {
        self.target.stop().await;
        self.inspector.close().await;
        Ok(self.server.drop_database(&self.database).await?)
    }
}

/// A name that no other world of this process has.
pub(crate) fn unique_name() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("trial_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Finds out by a few requests, one after another, what the target can do; leaves no row, and of
/// the target's own tables what they held before the first purchase.
pub(crate) async fn probe(
    inspector: &mut Inspector,
    target: &Target,
    clock: Clock,
    patience: Duration,
) -> Result<Capabilities, EnvironmentError> {
    const ID: i64 = 1;
    const SOLD_OUT: i64 = 2;
    const PENNILESS: i64 = 2;
    const ABSENT: i64 = 3;
    let shop = Shop::default().item(ID, 1, 10).wallet(ID, 10);
    let shop = shop.item(SOLD_OUT, 1, 0).wallet(PENNILESS, 0);
    let connect = async || {
        let connected = Client::connect(target.address(0), clock, patience).await;
        connected.map_err(|source| EnvironmentError::Connect {
            index: 0,
            count: 1,
            source,
        })
    };
    // What a target makes at its first request is there once it has refused what does not exist.
    let mut client = connect().await?;
    client.purchase(Request::new(ABSENT, ABSENT)).await;
    inspector.remember().await?;
    inspector.seed(&shop).await?;
    if !client.is_open() {
        client = connect().await?;
    }
    let plain = client.purchase(Request::new(ID, ID)).await;
    if !plain.is_ok() {
        return Err(EnvironmentError::DoesNotSell {
            answer: plain.describe(),
        });
    }
    // A target may answer before it commits: what it can do shows once it is at rest.
    inspector.wait_for_rest().await?;
    let purchase_rows = !inspector.purchases().await?.is_empty();
    let keyed = Request::new(ID, ID).with_key("rowlock-probe");
    let second = client.purchase(keyed.clone()).await;
    client.purchase(keyed).await;
    let neither = client.purchase(Request::new(PENNILESS, SOLD_OUT)).await;
    inspector.wait_for_rest().await?;
    let left = inspector.read(false).await?.shop;
    let idempotency_keys = left
        .items
        .get(&ItemId(ID))
        .is_some_and(|item| item.stock == 8)
        && left
            .wallets
            .get(&UserId(ID))
            .is_some_and(|balance| balance.0 == 8);
    // A table that came with the first sale is remembered as that has left it.
    inspector.clear_and_renew().await?;
    Ok(Capabilities {
        purchase_rows,
        idempotency_keys,
        judges_first: match &neither.completion {
            Completion::Fail(Refusal::OutOfStock) => JudgesFirst::Stock,
            Completion::Fail(Refusal::InsufficientBalance) => JudgesFirst::Balance,
            _ => JudgesFirst::Untold,
        },
        // Stock and balance sufficed, and nobody else was there.
        once_per_customer: matches!(
            second.completion,
            Completion::Fail(Refusal::Conflict | Refusal::Unstated(_))
        ),
    })
}
