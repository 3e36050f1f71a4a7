//! Workers: threads that each run schedules in a place of their own.
//!
//! Each has a runtime of one thread for everything in its place, so that handing a step from
//! PostgreSQL to proxy to service to proxy wakes no other thread.

use std::io;
use std::thread::{self, JoinHandle};

use rowlock_core::verdict::Verdict;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::conductor::Spent;
use super::control::LostControl;
use super::place::{Place, PlaceSpent};
use super::run::Run;
use super::runner::Runner;
use super::setup::Setup;
use super::strategy::Chooser;
use crate::environment::EnvironmentError;

/// How often a run is made that loses control.
const ATTEMPTS: usize = 3;

/// One run to make, by its number.
pub(super) type Job = (u64, Box<dyn Chooser>);

/// What a worker says.
pub(super) enum Report {
    /// It is ready for its first job.
    Ready { worker: usize },
    /// It has made this run.
    Ran {
        worker: usize,
        job: u64,
        run: Box<Run>,
        /// Why it was repeated, if it was.
        repeated: Vec<LostControl>,
    },
    /// It cannot go on.
    Failed(EnvironmentError),
}

/// A worker's thread and the way to give it jobs.
pub(super) struct Worker {
    pub(super) jobs: UnboundedSender<Job>,
    thread: JoinHandle<Spendings>,
}

/// Where a worker's time went.
pub(super) type Spendings = (PlaceSpent, Spent);

impl Worker {
    pub(super) fn start(
        worker: usize,
        setup: Setup,
        reports: UnboundedSender<Report>,
    ) -> io::Result<Worker> {
        let (jobs, queue) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let work = move || {
            runtime.block_on(async {
                let worked = work(worker, &setup, queue, &reports).await;
                worked.unwrap_or_else(|error| {
                    // A search that has ended wants no report.
                    let _ = reports.send(Report::Failed(error));
                    Spendings::default()
                })
            })
        };
        let name = format!("explorer-{worker}");
        let thread = thread::Builder::new().name(name).spawn(work)?;
        Ok(Worker { jobs, thread })
    }

    /// Takes the worker's place away, and says where its time went.
    pub(super) async fn stop(self) -> Spendings {
        drop(self.jobs);
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        joined
            .expect("the runtime outlives the search")
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

async fn work(
    worker: usize,
    setup: &Setup,
    mut queue: UnboundedReceiver<Job>,
    reports: &UnboundedSender<Report>,
) -> Result<Spendings, EnvironmentError> {
    let mut place = Some(open(setup).await?);
    let _ = reports.send(Report::Ready { worker });
    while let Some((job, mut chooser)) = queue.recv().await {
        let mut repeated = Vec::new();
        let (run, used) = loop {
            let mut used = match place.take() {
                Some(place) => place,
                None => open(setup).await?,
            };
            let run = used.run(&setup.program, chooser.as_mut()).await?;
            match run.execution.control.lost() {
                Some(why)
                    if repeated.len() + 1 < ATTEMPTS && run.verdict() != Verdict::Violation =>
                {
                    repeated.push(why.clone());
                }
                _ => break (run, used),
            }
            used.close().await?;
        };
        let is_at_rest = run.execution.is_at_rest();
        let run = Box::new(run);
        // Before anything else can fail.
        let _ = reports.send(Report::Ran {
            worker,
            job,
            run,
            repeated,
        });
        // Whatever took control away may still be under way, and an open transaction would keep
        // its rows locked: the next run starts afresh.
        match is_at_rest {
            true => place = Some(used),
            false => used.close().await?,
        }
    }
    let Some(place) = place else {
        return Ok(Spendings::default());
    };
    let spent = place.spent();
    place.close().await?;
    Ok(spent)
}

async fn open(setup: &Setup) -> Result<Place, EnvironmentError> {
    let place = Place::open(setup).await?;
    place.ready_for(&setup.program, setup).await
}
