//! Workers: threads that each run schedules on a testbed of their own.
//!
//! Each has a runtime of one thread for everything in it, so that handing a step from
//! PostgreSQL to proxy to service to proxy wakes no other thread. A search that is given up ends
//! its threads before it is gone, so that nothing outlives whoever waited for it.

use std::convert::Infallible;
use std::io;
use std::thread::{self, JoinHandle};

use rowlock_core::verdict::Verdict;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::control::LostControl;
use super::run::Run;
use super::strategy::Chooser;
use super::testbed::{Spendings, Testbed};

/// How often a run is made that loses control.
const ATTEMPTS: usize = 3;

/// One run to make, by its number.
pub(super) type Job = (u64, Box<dyn Chooser>);

/// What a worker says.
pub(super) enum Report<T: Testbed> {
    /// It is ready for its first job.
    Ready { worker: usize },
    /// It has made this run.
    Ran {
        worker: usize,
        job: u64,
        run: Box<Run<T::Program>>,
        /// Why it was repeated, if it was.
        repeated: Vec<LostControl>,
    },
    /// It cannot go on.
    Failed(T::Error),
    /// It is gone, and nobody knows why.
    Panicked,
}

/// Reports a panic of the thread that it is on, lest a search waits for a worker for ever.
struct Alarm<T: Testbed>(UnboundedSender<Report<T>>);

impl<T: Testbed> Drop for Alarm<T> {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.0.send(Report::Panicked);
        }
    }
}

/// A worker's thread and the way to give it jobs.
pub(super) struct Worker {
    pub(super) jobs: UnboundedSender<Job>,
    thread: WorkerThread,
}

/// A thread that does not outlive this: one that is not joined by then is cancelled, with all that
/// its testbed is made of.
struct WorkerThread {
    /// Closed to cancel.
    cancel: Option<oneshot::Sender<Infallible>>,
    handle: Option<JoinHandle<Spendings>>,
}

impl Drop for WorkerThread {
    fn drop(&mut self) {
        drop(self.cancel.take());
        if let Some(handle) = self.handle.take() {
            // A panic there has been printed, and a destructor cannot do more about it.
            let _ = handle.join();
        }
    }
}

impl Worker {
    pub(super) fn start<T: Testbed>(
        worker: usize,
        setup: T::Setup,
        program: T::Program,
        reports: UnboundedSender<Report<T>>,
    ) -> io::Result<Worker> {
        let (jobs, queue) = unbounded_channel();
        let (cancel, cancelled) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let work = move || {
            let _alarm = Alarm(reports.clone());
            runtime.block_on(async {
                let work = work(worker, &setup, &program, queue, &reports);
                let worked = tokio::select! {
                    worked = work => worked,
                    _ = cancelled => return Spendings::default(),
                };
                worked.unwrap_or_else(|error| {
                    // A search that has ended wants no report.
                    let _ = reports.send(Report::Failed(error));
                    Spendings::default()
                })
            })
        };
        let name = format!("explorer-{worker}");
        let handle = thread::Builder::new().name(name).spawn(work)?;
        let thread = WorkerThread {
            cancel: Some(cancel),
            handle: Some(handle),
        };
        Ok(Worker { jobs, thread })
    }

    /// Takes the worker's testbed away, and says where its time went.
    pub(super) async fn stop(self) -> Spendings {
        let Worker { jobs, mut thread } = self;
        drop(jobs);
        let handle = thread.handle.take().expect("only this takes it");
        let joined = tokio::task::spawn_blocking(move || handle.join()).await;
        // A panic there has been reported.
        joined
            .expect("the runtime outlives the search")
            .unwrap_or_default()
    }
}

async fn work<T: Testbed>(
    worker: usize,
    setup: &T::Setup,
    program: &T::Program,
    mut queue: UnboundedReceiver<Job>,
    reports: &UnboundedSender<Report<T>>,
) -> Result<Spendings, T::Error> {
    let mut testbed = Some(open::<T>(setup, program).await?);
    let _ = reports.send(Report::Ready { worker });
    while let Some((job, mut chooser)) = queue.recv().await {
        let mut repeated = Vec::new();
        let (run, used) = loop {
            let mut used = match testbed.take() {
                Some(testbed) => testbed,
                None => open::<T>(setup, program).await?,
            };
            let run = used.run(program, chooser.as_mut()).await?;
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
            true => testbed = Some(used),
            false => used.close().await?,
        }
    }
    let Some(testbed) = testbed else {
        return Ok(Spendings::default());
    };
    let spent = testbed.spent();
    testbed.close().await?;
    Ok(spent)
}

async fn open<T: Testbed>(setup: &T::Setup, program: &T::Program) -> Result<T, T::Error> {
    let testbed = T::open(setup).await?;
    testbed.ready_for(program, setup).await
}
