//! Where one worker runs programs: a database, a proxy before it, a target behind that, and the
//! clients' connections.
//!
//! Everything is made once and used for many runs; between runs only the rows are put back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use rowlock_core::program::Program as _;
use rowlock_core::universal::Aftermath;
use rowlock_core::verdict::Verdict;
use rowlock_explorer::conductor::{Conducted, Conductor};
use rowlock_explorer::footprints::Footprints;
use rowlock_explorer::monitor::Monitor;
use rowlock_explorer::testbed::{Spendings, Testbed, TestbedSpent};
use rowlock_explorer::{
    Assessment, Chooser, Control, Execution, Follow, LostControl, RequestIndex, Run, Runner, Signal,
};
use rowlock_postgres::Server;
use tokio::sync::mpsc::UnboundedSender;

use super::limits;
use super::setup::Setup;
use crate::bounded;
use crate::client::Client;
use crate::environment::EnvironmentError;
use crate::rig::{Parts, Rig};
use crate::rows::Rows;
use crate::subject::{self, Operation, Seen, Subject};
use crate::trace::Phase;

/// How long a client waits; the conductor gives up long before.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the target is listened to before the first run, so that its background jobs show.
const LISTEN: Duration = Duration::from_millis(50);

/// After so many runs the dead rows that resetting leaves are cleared away.
const VACUUM_EVERY: u64 = 500;

/// How often in a row a run is made again because PostgreSQL served a later waiter first.
const REPEATS: u32 = 20;

type Answered<S> = (Operation<S>, Option<Client>);

/// A worker's own world.
#[derive(Debug)]
pub struct Place<S: Subject> {
    server: Arc<Server>,
    rig: Rig<S>,
    /// What is to be expected of the program that it is ready for.
    expected: Option<S::Expected>,
    conductor: Conductor<Answered<S>>,
    rows: Rows,
    clients: Vec<Option<Client>>,
    spent: TestbedSpent,
    overtaken_in_a_row: u32,
}

impl<S: Subject> Place<S> {
    /// Runs `program` a few times, so that every connection and prepared statement that the
    /// target wants is there. Says false where that left a transaction open: the place is then
    /// of no more use.
    ///
    /// # Errors
    /// As [`Runner::run`].
    async fn warm_up(&mut self, program: &S::Program) -> Result<bool, EnvironmentError> {
        const ROUNDS: usize = 2;
        self.enter(Phase::WarmUp);
        for _ in 0..ROUNDS {
            let run = self.run(program, &mut Follow::default()).await?;
            if !run.execution.leftovers.is_empty() {
                return Ok(false);
            }
        }
        self.enter(Phase::BetweenRuns);
        self.rows.renew().await?;
        self.spent = TestbedSpent::default();
        Ok(true)
    }

    /// Says what is done from here on, where what the target sends is written.
    fn enter(&self, phase: Phase) {
        self.rig.enter(|| phase);
    }

    /// Sees to it that each request has an open connection.
    async fn connect(&mut self, count: usize) -> Result<(), EnvironmentError> {
        self.clients
            .resize_with(self.clients.len().max(count), || None);
        let rig = &self.rig;
        let missing = self
            .clients
            .iter_mut()
            .take(count)
            .enumerate()
            .filter(|(_, client)| !client.as_ref().is_some_and(Client::is_open));
        let connecting = missing.map(|(index, client)| async move {
            *client = Some(rig.connect(index, count).await?);
            Ok(())
        });
        join_all(connecting).await.into_iter().collect()
    }

    fn assess(
        &self,
        program: &S::Program,
        conducted: Conducted<Answered<S>>,
        rows: subject::Rows<S>,
    ) -> Run<S::Program> {
        let Conducted {
            execution, answers, ..
        } = conducted;
        let end = execution.transcript.events.len();
        let answers = answers.into_iter();
        let answers = answers
            .map(|answer| answer.map(|((operation, _), place)| (operation, place)))
            .collect();
        let subject = self.rig.subject();
        let history = subject.history(program, answers, end);
        let mut findings = subject.judge(Seen {
            known: self.rig.known(),
            expected: self.expected(),
            program,
            history: &history,
            rows: &rows,
            aftermath: aftermath(&execution),
            // A deadlock is broken by cancelling a statement, so errors are expected then.
            broken: execution.deadlock().is_some() || !execution.control.is_kept(),
        });
        let alone = subject.takes_alone(self.expected());
        let is_unheard_of =
            |call: usize| subject.is_unheard_of(self.expected(), call, &history[call]);
        limits::excuse(&mut findings, &execution, &history, alone, is_unheard_of);
        Run {
            execution,
            assessment: Assessment {
                history,
                rows,
                findings,
            },
        }
    }

    fn expected(&self) -> &S::Expected {
        self.expected
            .as_ref()
            .expect("a place is made ready before it runs")
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

impl<S: Subject> Testbed for Place<S> {
    type Setup = Setup<S>;

    /// Makes a database, starts the target on it behind a proxy, finds out what it can do, and
    /// lets it open its connections.
    ///
    /// # Errors
    /// As [`Rig::open`].
    async fn open(setup: &Setup<S>) -> Result<Place<S>, EnvironmentError> {
        let parts = Parts {
            subject: &setup.subject,
            server: &setup.server,
            target: &setup.target,
            target_env: &setup.target_env,
            is_proxied: true,
            patience: PATIENCE,
            trace: setup.trace.as_ref(),
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
        let subject = setup.subject.clone();
        conductor.leave_alone(move |sql, name| subject.is_background(sql, name));
        conductor.listen(LISTEN).await;
        Ok(Place {
            server: Arc::clone(&setup.server),
            rig,
            expected: None,
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
    /// As [`Runner::run`], and what [`Subject::expect`] finds wrong.
    async fn ready_for(
        mut self,
        program: &S::Program,
        setup: &Setup<S>,
    ) -> Result<Place<S>, EnvironmentError> {
        self.enter(Phase::Serial);
        self.conductor.let_go();
        let expecting = setup.subject.expect(&self.rig, &mut self.rows, program);
        let expected = expecting.await;
        self.conductor.take_hold();
        match expected {
            Ok(expected) => self.expected = Some(expected),
            Err(error) => {
                self.close().await?;
                return Err(error);
            }
        }
        if self.warm_up(program).await? {
            return Ok(self);
        }
        let expected = self.expected.take();
        self.close().await?;
        let place = Place::open(setup).await?;
        Ok(Place { expected, ..place })
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
        self.rig.abandon(&self.server).await
    }
}

impl<S: Subject> Runner for Place<S> {
    type Program = S::Program;
    type Error = EnvironmentError;

    async fn run(
        &mut self,
        program: &S::Program,
        chooser: &mut dyn Chooser,
    ) -> Result<Run<S::Program>, EnvironmentError> {
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

impl<S: Subject> Place<S> {
    /// Before `run` accuses the target, or refuses what nothing refuses alone: whether the target still
    /// does alone what it did. Where it does not, the run says nothing, and is to be made again elsewhere.
    async fn doubt(&mut self, program: &S::Program, run: &mut Run<S::Program>) {
        let Some(expected) = &self.expected else {
            return;
        };
        let subject = self.rig.subject();
        let mut answers = run.assessment.history.iter().enumerate();
        let is_odd = run.verdict() == Verdict::Violation
            || answers.any(|(call, answer)| subject.is_unheard_of(expected, call, answer));
        if !is_odd || !run.execution.is_at_rest() {
            return;
        }
        self.conductor.let_go();
        let asking = subject.is_as_expected(&self.rig, &mut self.rows, program, expected);
        let asked = asking.await;
        self.conductor.take_hold();
        // Where that cannot be asked, what was found stands.
        if let Ok(Err(why)) = asked {
            limits::take_back(&mut run.assessment.findings, &why);
            run.execution.control = Control::Lost(LostControl::NoLonger(why));
        }
    }

    async fn run_once(
        &mut self,
        program: &S::Program,
        chooser: &mut dyn Chooser,
    ) -> Result<Run<S::Program>, EnvironmentError> {
        let began = Instant::now();
        if self.spent.runs.is_multiple_of(VACUUM_EVERY) {
            self.rows.vacuum().await?;
        }
        let subject = self.rig.subject();
        subject.restore(&self.rig).await?;
        let reset = subject.reset_sql(self.rig.known(), program, self.rows.baseline());
        self.rows.execute(reset.clone()).await?;
        if subject.remembers() {
            self.conductor.let_go();
            // A service that is to stop may wait for whoever is still connected.
            self.clients.clear();
            subject.restart(&self.rig).await?;
            self.rows.execute(reset).await?;
            self.conductor.begin_anew();
            self.conductor.listen(LISTEN).await;
        }
        let count = program.call_count();
        self.connect(count).await?;
        self.spent.reset += began.elapsed();

        if let Some(trace) = self.rig.trace() {
            trace.begin_run(program.name());
        }
        let (clients, rig) = (&mut self.clients, &self.rig);
        let begin = |index: RequestIndex, done: UnboundedSender<Signal<Answered<S>>>| {
            let client = clients[index.0].take().expect("each request has a client");
            let subject = rig.subject();
            let asking = subject.ask(rig.known(), program, index.0, client);
            tokio::spawn(async move {
                let answered = asking.await;
                // A conductor that is gone wants no answer.
                let _ = done.send(Signal::Answered(index, answered));
            });
        };
        let conducted = self.conductor.run(count, begin, chooser);
        let mut conducted = conducted.await?;
        if let Some(trace) = self.rig.trace() {
            trace.end_run(&conducted.execution, &conducted.senders);
        }
        for (index, answer) in conducted.answers.iter_mut().enumerate() {
            self.clients[index] = answer.as_mut().and_then(|((_, client), _)| client.take());
        }
        let began = Instant::now();
        let (rig, expected) = (&self.rig, self.expected.as_ref());
        let expected = expected.expect("a place is made ready before it runs");
        let read = async |connection: &mut _| {
            let subject = rig.subject();
            subject.read(rig.known(), expected, connection).await
        };
        let rows = self.rows.read(read).await?;
        let mut run = self.assess(program, conducted, rows);
        self.doubt(program, &mut run).await;
        self.spent.judge += began.elapsed();
        self.spent.runs += 1;
        Ok(run)
    }
}
