//! Where one worker runs programs: a database, a proxy before it, a target behind that, and the
//! buyers' connections.
//!
//! Everything is made once and used for many runs; between runs only the rows are put back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use rowlock_core::answer::Unknown;
use rowlock_core::universal::Aftermath;
use rowlock_explorer::conductor::{Conducted, Conductor};
use rowlock_explorer::footprints::Footprints;
use rowlock_explorer::monitor::Monitor;
use rowlock_explorer::testbed::{Spendings, Testbed, TestbedSpent};
use rowlock_explorer::{
    Assessment, Chooser, Execution, Follow, LostControl, RequestIndex, Run, Runner, Signal,
};
use rowlock_postgres::Server;
use rowlock_shop::history::{Completion, Operation, Refusal, Request};
use rowlock_shop::invariant::{Capabilities, Evidence};
use rowlock_shop::judgement::judge;
use rowlock_shop::program::Program;
use rowlock_shop::rows::FinalRows;
use tokio::sync::mpsc::UnboundedSender;

use super::setup::Setup;
use crate::bounded;
use crate::client::{Client, Clock};
use crate::environment::EnvironmentError;
use crate::rig::{Parts, Rig};
use crate::rows::Rows;

/// How long a buyer waits; the conductor gives up long before.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the target is listened to before the first run, so that its background jobs show.
const LISTEN: Duration = Duration::from_millis(50);

/// After so many runs the dead rows that resetting leaves are cleared away.
const VACUUM_EVERY: u64 = 500;

/// How often in a row a run is made again because PostgreSQL served a later waiter first.
const REPEATS: u32 = 20;

type Answered = (Operation, Option<Client>);

/// A worker's own world.
#[derive(Debug)]
pub struct Place {
    server: Arc<Server>,
    rig: Rig,
    conductor: Conductor<Answered>,
    rows: Rows,
    clients: Vec<Option<Client>>,
    spent: TestbedSpent,
    overtaken_in_a_row: u32,
}

impl Place {
    /// Runs `program` a few times, so that every connection and prepared statement that the
    /// target wants is there. Says false where that left a transaction open: the place is then
    /// of no more use.
    ///
    /// # Errors
    /// As [`Runner::run`].
    async fn warm_up(&mut self, program: &Program) -> Result<bool, EnvironmentError> {
        const ROUNDS: usize = 2;
        for _ in 0..ROUNDS {
            let run = self.run(program, &mut Follow::default()).await?;
            if !run.execution.leftovers.is_empty() {
                return Ok(false);
            }
        }
        self.rows.renew().await?;
        self.spent = TestbedSpent::default();
        Ok(true)
    }

    /// What the target can do.
    pub fn capabilities(&self) -> Capabilities {
        self.rig.capabilities()
    }

    /// Sees to it that each request has an open connection.
    async fn connect(&mut self, count: usize) -> Result<(), EnvironmentError> {
        self.clients
            .resize_with(self.clients.len().max(count), || None);
        let target = self.rig.target();
        let missing = self
            .clients
            .iter_mut()
            .take(count)
            .enumerate()
            .filter(|(_, client)| !client.as_ref().is_some_and(Client::is_open));
        let connecting = missing.map(|(index, client)| async move {
            let connected = Client::connect(target.address(index), Clock::start(), PATIENCE).await;
            *client = Some(connected.map_err(|source| EnvironmentError::Connect {
                index,
                count,
                source,
            })?);
            Ok(())
        });
        join_all(connecting).await.into_iter().collect()
    }

    fn assess(
        &self,
        program: &Program,
        conducted: Conducted<Answered>,
        rows: FinalRows,
    ) -> Run<Program> {
        let Conducted { execution, answers } = conducted;
        let end = execution.transcript.events.len();
        let requests = program.requests.iter().enumerate();
        let history = requests
            .zip(answers)
            .map(|((index, request), answer)| operation(index, request, answer, end));
        let history: Vec<_> = history.collect();
        let findings = judge(&Evidence {
            initial: program.initial.clone(),
            history: history.clone(),
            rows: rows.clone(),
            aftermath: aftermath(&execution),
            // A deadlock is broken by cancelling a statement, so errors are expected then.
            faults: execution.deadlock().is_some() || !execution.control.is_kept(),
            capabilities: self.rig.capabilities(),
        });
        Run {
            execution,
            assessment: Assessment {
                history,
                rows,
                findings,
            },
        }
    }
}

/// What a run left behind, as invariants see it.
fn aftermath(execution: &Execution) -> Aftermath {
    let left_open = execution.leftovers.open_transactions.iter();
    let left_open = left_open
        .map(|request| format!("request {request} was answered and left its transaction open"));
    Aftermath {
        open_transactions: left_open.collect(),
        locks: execution.leftovers.locks.clone(),
        deadlocks: i64::from(execution.deadlock().is_some()),
    }
}

impl Testbed for Place {
    type Setup = Setup;

    /// Makes a database, starts the target on it behind a proxy, finds out what it can do, and
    /// lets it open its connections.
    ///
    /// # Errors
    /// Failures of the environment; [`EnvironmentError::DoesNotSell`] is the target's own.
    async fn open(setup: &Setup) -> Result<Place, EnvironmentError> {
        let parts = Parts {
            server: &setup.server,
            target: &setup.target,
            target_env: &setup.target_env,
            is_proxied: true,
            patience: PATIENCE,
        };
        let rig = Rig::open(parts).await?;
        let (Some(control), Some(isolation)) = (rig.proxy(), rig.isolation()) else {
            unreachable!("the rig is proxied");
        };
        let options = || rig.database().options();
        let rows = Rows::open(options(), rig.inspector().baseline().clone()).await?;
        let standing = rig.inspector().standing_locks().to_vec();
        let mut monitor = Monitor::open(bounded::options(options()), standing).await?;
        let footprints = Footprints::new(monitor.catalog().await?);
        let mut conductor = Conductor::new(
            control.clone(),
            monitor,
            footprints,
            Arc::clone(isolation),
            setup.bounds,
            rig.activity(),
        );
        conductor.listen(LISTEN).await;
        Ok(Place {
            server: Arc::clone(&setup.server),
            rig,
            conductor,
            rows,
            clients: Vec::new(),
            spent: TestbedSpent::default(),
            overtaken_in_a_row: 0,
        })
    }

    /// The place warmed up for `program`; a new one that is not, where warming up leaves
    /// transactions open: its first run is to show that, rather than to wait for the rows.
    ///
    /// # Errors
    /// As [`Runner::run`]; [`EnvironmentError::NoKeys`] where the target cannot be asked this.
    async fn ready_for(
        mut self,
        program: &Program,
        setup: &Setup,
    ) -> Result<Place, EnvironmentError> {
        if program.repeats_keys() && !self.rig.capabilities().idempotency_keys {
            self.close().await?;
            let program = program.name.clone();
            return Err(EnvironmentError::NoKeys { program });
        }
        if self.warm_up(program).await? {
            return Ok(self);
        }
        self.close().await?;
        Place::open(setup).await
    }

    /// Where the time went.
    fn spent(&self) -> Spendings {
        (self.spent, self.conductor.spent())
    }

    /// Stops the target and takes everything away.
    ///
    /// # Errors
    /// The database could not be dropped.
    async fn close(self) -> Result<(), EnvironmentError> {
        self.conductor.close().await;
        drop(self.clients);
        self.rows.close().await;
        self.rig.stop_target().await.drop(&self.server).await
    }
}

impl Runner for Place {
    type Program = Program;
    type Error = EnvironmentError;

    async fn run(
        &mut self,
        program: &Program,
        chooser: &mut dyn Chooser,
    ) -> Result<Run<Program>, EnvironmentError> {
        loop {
            let run = self.run_once(program, chooser).await?;
            let is_overtaken = run.execution.control.lost() == Some(&LostControl::Overtaken);
            if !is_overtaken || self.overtaken_in_a_row >= REPEATS {
                self.overtaken_in_a_row = 0;
                return Ok(run);
            }
            self.overtaken_in_a_row += 1;
            self.spent.repeats += 1;
        }
    }
}

impl Place {
    async fn run_once(
        &mut self,
        program: &Program,
        chooser: &mut dyn Chooser,
    ) -> Result<Run<Program>, EnvironmentError> {
        let began = Instant::now();
        if self.spent.runs.is_multiple_of(VACUUM_EVERY) {
            self.rows.vacuum().await?;
        }
        self.rows.reset(&program.initial).await?;
        self.connect(program.requests.len()).await?;
        self.spent.reset += began.elapsed();

        let clients = &mut self.clients;
        let begin = |index: RequestIndex, done: UnboundedSender<Signal<Answered>>| {
            let client = clients[index.0].take().expect("each request has a client");
            send(client, program.requests[index.0].clone(), index, done);
        };
        let conducted = self.conductor.run(program.requests.len(), begin, chooser);
        let mut conducted = conducted.await?;
        for (index, answer) in conducted.answers.iter_mut().enumerate() {
            self.clients[index] = answer.as_mut().and_then(|((_, client), _)| client.take());
        }
        let began = Instant::now();
        let rows = self
            .rows
            .read(self.rig.capabilities().purchase_rows)
            .await?;
        let run = self.assess(program, conducted, rows);
        self.spent.judge += began.elapsed();
        self.spent.runs += 1;
        Ok(run)
    }
}

fn send(
    mut client: Client,
    request: Request,
    index: RequestIndex,
    done: UnboundedSender<Signal<Answered>>,
) {
    tokio::spawn(async move {
        let operation = client.purchase(request).await;
        let client = client.is_open().then_some(client);
        // A conductor that is gone wants no answer.
        let _ = done.send(Signal::Answered(index, (operation, client)));
    });
}

/// The operation with places in the transcript for times.
fn operation(
    index: usize,
    request: &Request,
    answer: Option<(Answered, usize)>,
    end: usize,
) -> Operation {
    let (status, completion, place) = match answer {
        Some(((operation, _), place)) => (operation.status, operation.completion, place),
        None => (None, Completion::Info(Unknown::TimedOut), end),
    };
    // What was never sent cannot have happened, but here every request was.
    let completion = match completion {
        Completion::Fail(Refusal::NotSent) => Completion::Info(Unknown::ConnectionLost),
        completion => completion,
    };
    Operation {
        request: request.clone(),
        intended_ns: index as u64,
        invoked_ns: index as u64,
        completed_ns: place as u64,
        status,
        completion,
    }
}
