//! Where a trial happens: a rig, its initial rows, and the clock.
//!
//! A world is opened on the initial rows and closed into a [`Trial`]: what was asked, what
//! came of it, and which invariants hold.

use std::time::Duration;

use rowlock_core::finding::Finding;
use rowlock_core::seed::Seed;
use rowlock_postgres::Server;
use rowlock_shop::history::{Operation, Request};
use rowlock_shop::invariant::{Capabilities, Evidence};
use rowlock_shop::judgement::judge;
use rowlock_shop::rows::Shop;

use crate::client::{Client, Clock};
use crate::database::Inspector;
use crate::environment::EnvironmentError;
use crate::progress::Progress;
use crate::rig::{Parts, Rig};
use crate::target::{OnConflict, TargetSpec};
use crate::trace::{Phase, TraceFile};
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
    /// The most requests of a trial that may give way to others, in percent; none is no limit.
    pub max_conflicts: Option<f64>,
    /// How long a client waits for an answer.
    pub patience: Duration,
    /// Where the run says what it is doing.
    pub progress: &'a Progress,
    /// Where what the target sends is written, if it is; it then has a proxy before its database.
    pub trace: Option<TraceFile>,
}

/// A rig with a clock, its initial rows, and how long a client waits.
#[derive(Debug)]
pub struct World<'a> {
    server: &'a Server,
    rig: Rig<crate::shop::Shop>,
    initial: Shop,
    clock: Clock,
    patience: Duration,
}

impl<'a> World<'a> {
    /// Opens a rig and puts the `initial` rows there.
    ///
    /// # Errors
    /// As [`Rig::open`].
    pub async fn open(setting: &Setting<'a>, initial: Shop) -> Result<Self, EnvironmentError> {
        let clock = Clock::start();
        let parts = Parts {
            subject: &crate::shop::Shop,
            server: setting.server,
            target: setting.target,
            target_env: &setting.target_env,
            is_proxied: false,
            patience: setting.patience,
            trace: setting.trace.as_ref(),
        };
        let rig = Rig::open(parts).await?;
        rig.inspector().reset(&initial).await?;
        let world = World {
            server: setting.server,
            rig,
            initial,
            clock,
            patience: setting.patience,
        };
        world.enter(|| Phase::Load);
        Ok(world)
    }

    /// Says what the harness does from here on, where what the target sends is written.
    pub(crate) fn enter(&self, phase: impl FnOnce() -> Phase) {
        if let Some(trace) = self.rig.trace() {
            trace.enter(phase());
        }
    }

    /// The harness's own way into the database.
    pub fn inspector(&self) -> &Inspector {
        self.rig.inspector()
    }

    /// What the target can do.
    pub fn capabilities(&self) -> Capabilities {
        *self.rig.known()
    }

    /// What the target does where it meets others.
    pub fn on_conflict(&self) -> OnConflict {
        self.rig.target().on_conflict()
    }

    /// Where replica `index` of the target listens, counted round and round.
    pub fn address(&self, index: usize) -> std::net::SocketAddr {
        self.rig.target().address(index)
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
        Client::connect(self.address(index), self.clock, self.patience).await
    }

    /// Sends one request on a connection of its own, and waits for `patience` at most.
    ///
    /// A target that takes no connection has not been asked ([`Refusal::NotSent`]).
    pub async fn purchase(&self, index: usize, request: Request, patience: Duration) -> Operation {
        let address = self.address(index);
        Client::purchase_once(address, self.clock, patience, request).await
    }

    /// Sends one request on a connection of its own, and waits for its answer as a client does.
    ///
    /// # Errors
    /// [`EnvironmentError::Connect`].
    pub async fn purchase_alone(&self, request: Request) -> Result<Operation, EnvironmentError> {
        let connected = self.connect(0).await;
        let mut client = connected.map_err(|source| EnvironmentError::Connect {
            index: 0,
            count: 1,
            source,
        })?;
        Ok(client.purchase(request).await)
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
        let capabilities = self.capabilities();
        let aftermath = self.inspector().wait_for_rest().await?;
        let rows = self.inspector().read(capabilities.purchase_rows).await?;
        let initial = self.initial.clone();
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
        let rest = self.rig.stop_target().await;
        evidence.aftermath.deadlocks = rest.deadlocks().await?;
        rest.drop(self.server).await?;
        let mut all = judge(&evidence);
        all.extend(findings);
        Ok(Trial::new(name, &evidence.history, all))
    }

    /// Stops the target and drops the database without a verdict.
    ///
    /// # Errors
    /// The database could not be dropped.
    pub async fn abandon(self) -> Result<(), EnvironmentError> {
        self.rig.stop_target().await.drop(self.server).await
    }
}
