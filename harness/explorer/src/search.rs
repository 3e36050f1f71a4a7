//! The search: gives a strategy's choosers to workers and what ran back to it.
//!
//! Choosers are numbered as they are handed out, and runs go back in the order of
//! these numbers. At most [`WINDOW`] are under way, whatever the number of workers, and the
//! next is asked for at the moment when the oldest has come back. So all that a strategy sees,
//! and all that it says, is the same at every speed and with any number of workers.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use rowlock_core::error::in_full;
use rowlock_core::finding::Outcome as Checked;
use rowlock_core::program::Program;
use rowlock_core::verdict::Verdict;
use tokio::sync::mpsc::unbounded_channel;

use super::control::LostControl;
use super::run::Run;
use super::strategy::{Next, Strategy};
use super::testbed::{NoWorker, Spendings, Testbed};
use super::worker::{Job, Report, Worker};

/// How many runs are under way at a time.
pub const WINDOW: usize = 8;

/// When a search ends that has found nothing and is not exhausted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// After so many schedules.
    Schedules(u64),
    /// After this time, start-up not counted.
    Time(Duration),
    /// Never.
    Unlimited,
}

/// How a program is searched.
#[derive(Debug)]
pub struct Search<T: Testbed> {
    /// What each worker's testbed is made of.
    pub setup: T::Setup,
    /// What is run.
    pub program: T::Program,
    /// How many workers there are.
    pub workers: usize,
    /// When to end.
    pub budget: Budget,
    /// Whether to go on after the first violation.
    pub keep_going: bool,
}

/// What a search came to, and what it covered.
#[derive(Debug)]
pub struct Exploration<P: Program> {
    /// Runs made.
    pub schedules: u64,
    /// Different transcripts among them.
    pub distinct: u64,
    /// Branches that the strategy left out as equivalent to others.
    pub pruned: u64,
    /// Whether the strategy had nothing more to run.
    pub exhausted: bool,
    /// What the strategy could not cover for itself.
    pub incomplete: Vec<String>,
    /// Why control was lost, and how often.
    pub lost: BTreeMap<LostControl, u64>,
    /// Why runs were repeated that lost control and then kept it, and how often.
    pub repeated: BTreeMap<LostControl, u64>,
    /// Steps that belonged to no request, by their SQL.
    pub uncontrolled: BTreeMap<String, u64>,
    /// Checks that could not be made, with the reason, and how often.
    pub unchecked: BTreeMap<String, u64>,
    /// Checks that applied in no run, by name, and why.
    pub not_applicable: BTreeMap<String, String>,
    /// Runs in which a request waited inside the application.
    pub stalled: u64,
    /// Runs with a violation.
    pub violations: u64,
    /// The first of them.
    pub violation: Option<Box<Run<P>>>,
    /// The number of the run that found it, from 1.
    pub found_at: Option<u64>,
    /// Time without the start-up.
    pub elapsed: Duration,
    /// Where the workers' time went, summed up.
    pub spent: Spendings,
}

impl<P: Program> Exploration<P> {
    /// A violation if there is one; valid only if everything was run, under control, and checked.
    pub fn verdict(&self) -> Verdict {
        let is_covered = self.exhausted && self.lost.is_empty() && self.incomplete.is_empty();
        let is_checked = self.unchecked.is_empty() && self.schedules > 0;
        match (&self.violation, is_covered && is_checked) {
            (Some(_), _) => Verdict::Violation,
            (None, true) => Verdict::Valid,
            (None, false) => Verdict::Inconclusive,
        }
    }
}

impl<T: Testbed> Search<T> {
    /// Searches until a violation, the end of the budget, or until nothing is left. `on_run` sees
    /// every run, in the order of the schedules.
    ///
    /// # Errors
    /// What kept a worker from working.
    pub async fn run(
        &self,
        strategy: &mut dyn Strategy,
        mut on_run: impl FnMut(&Run<T::Program>),
    ) -> Result<Exploration<T::Program>, T::Error> {
        let (reports, mut reported) = unbounded_channel();
        let mut workers = Vec::new();
        for index in 0..self.workers.max(1) {
            let worker = Worker::start::<T>(
                index,
                self.setup.clone(),
                self.program.clone(),
                reports.clone(),
            );
            workers.push(worker.map_err(NoWorker::from)?);
        }
        drop(reports);
        let mut progress = Progress::new(self.budget);
        let mut idle = Vec::new();
        let mut waiting = VecDeque::new();
        let mut failed = None;
        progress.hand_out(strategy, &mut waiting);
        'search: loop {
            while !waiting.is_empty()
                && let Some(worker) = idle.pop()
                && let Some(job) = waiting.pop_front()
            {
                let worker: &Worker = &workers[worker];
                // A worker that is gone has reported why.
                let _ = worker.jobs.send(job);
            }
            if progress.is_over() {
                break;
            }
            match reported.recv().await {
                Some(Report::Ready { worker }) => {
                    progress.began.get_or_insert_with(Instant::now);
                    idle.push(worker);
                }
                Some(Report::Ran {
                    worker,
                    job,
                    run,
                    repeated,
                }) => {
                    idle.push(worker);
                    progress.repeat(repeated);
                    progress.came_back.insert(job, run);
                    while let Some(run) = progress.next_run() {
                        strategy.observe(&run.execution);
                        on_run(&run);
                        if progress.take(run) && !self.keep_going {
                            break 'search;
                        }
                        // Before the next is observed, whether or not it is there already.
                        progress.hand_out(strategy, &mut waiting);
                    }
                }
                Some(Report::Failed(error)) => {
                    failed = Some(error);
                    break;
                }
                Some(Report::Panicked) => {
                    failed = Some(NoWorker::Panicked.into());
                    break;
                }
                None => break,
            }
        }
        if progress.is_over() && !progress.exhausted {
            progress.exhausted = matches!(strategy.next(), Next::Exhausted);
        }
        let mut found = progress.end();
        for worker in workers {
            let (place, conductor) = worker.stop().await;
            found.spent.0.add(place);
            found.spent.1.add(conductor);
        }
        found.pruned = strategy.pruned();
        found.incomplete = strategy.incomplete();
        match failed {
            Some(error) if found.violation.is_none() => Err(error),
            // What was found stands.
            Some(error) => {
                let why = in_full(&error);
                found.incomplete.push(format!("a worker failed: {why}"));
                Ok(found)
            }
            None => Ok(found),
        }
    }
}

/// The state of a search.
struct Progress<P: Program> {
    budget: Budget,
    handed_out: u64,
    observed: u64,
    came_back: BTreeMap<u64, Box<Run<P>>>,
    transcripts: HashSet<u64>,
    exhausted: bool,
    began: Option<Instant>,
    found: Exploration<P>,
}

impl<P: Program> Progress<P> {
    fn new(budget: Budget) -> Self {
        Progress {
            budget,
            handed_out: 0,
            observed: 0,
            came_back: BTreeMap::new(),
            transcripts: HashSet::new(),
            exhausted: false,
            began: None,
            found: Exploration {
                schedules: 0,
                distinct: 0,
                pruned: 0,
                exhausted: false,
                incomplete: Vec::new(),
                lost: BTreeMap::new(),
                repeated: BTreeMap::new(),
                uncontrolled: BTreeMap::new(),
                unchecked: BTreeMap::new(),
                not_applicable: BTreeMap::new(),
                stalled: 0,
                violations: 0,
                violation: None,
                found_at: None,
                elapsed: Duration::ZERO,
                spent: Default::default(),
            },
        }
    }

    /// Whether another run may be handed out.
    fn is_open(&self) -> bool {
        let in_budget = match self.budget {
            Budget::Schedules(most) => self.handed_out < most,
            Budget::Time(most) => self.began.is_none_or(|began| began.elapsed() < most),
            Budget::Unlimited => true,
        };
        in_budget && !self.exhausted && self.under_way() < WINDOW as u64
    }

    /// Whether nothing is under way, and so nothing will come.
    fn is_over(&self) -> bool {
        self.under_way() == 0
    }

    fn under_way(&self) -> u64 {
        self.handed_out - self.observed
    }

    /// Asks for as many runs as may be under way.
    fn hand_out(&mut self, strategy: &mut dyn Strategy, waiting: &mut VecDeque<Job>) {
        self.exhausted = false;
        while self.is_open() {
            match strategy.next() {
                Next::Run(chooser) => {
                    waiting.push_back((self.handed_out, chooser));
                    self.handed_out += 1;
                }
                Next::Wait => break,
                Next::Exhausted => self.exhausted = true,
            }
        }
    }

    fn next_run(&mut self) -> Option<Box<Run<P>>> {
        let run = self.came_back.remove(&self.observed)?;
        self.observed += 1;
        Some(run)
    }

    fn repeat(&mut self, reasons: Vec<LostControl>) {
        for why in reasons {
            *self.found.repeated.entry(why).or_default() += 1;
        }
    }

    /// Takes a run into account; says whether it is a violation.
    fn take(&mut self, run: Box<Run<P>>) -> bool {
        let found = &mut self.found;
        let execution = &run.execution;
        found.schedules += 1;
        let mut hasher = DefaultHasher::new();
        // Any serializer would do: only equality matters.
        serde_json::to_string(&execution.transcript)
            .expect("a transcript is plain JSON")
            .hash(&mut hasher);
        self.transcripts.insert(hasher.finish());
        if let Some(why) = execution.control.lost() {
            *found.lost.entry(why.clone()).or_default() += 1;
        }
        for (sql, count) in &execution.uncontrolled {
            *found.uncontrolled.entry(sql.clone()).or_default() += count;
        }
        found.stalled += u64::from(execution.has_stalled());
        let mut not_applicable = BTreeMap::new();
        for finding in &run.assessment.findings {
            match &finding.outcome {
                Checked::Unchecked(why) => {
                    let what = format!("{}: {why}", finding.name);
                    *found.unchecked.entry(what).or_default() += 1;
                }
                Checked::NotApplicable(why) => {
                    not_applicable.insert(finding.name.clone(), why.clone());
                }
                Checked::Holds | Checked::Violated(_) => {}
            }
        }
        match found.schedules {
            1 => found.not_applicable = not_applicable,
            _ => (found.not_applicable).retain(|name, _| not_applicable.contains_key(name)),
        }
        let is_violation = run.verdict() == Verdict::Violation;
        if is_violation {
            found.violations += 1;
            found.found_at.get_or_insert(found.schedules);
            found.violation.get_or_insert(run);
        }
        is_violation
    }

    fn end(mut self) -> Exploration<P> {
        self.found.exhausted = self.exhausted && self.under_way() == 0;
        self.found.distinct = self.transcripts.len() as u64;
        self.found.elapsed = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        self.found
    }
}

#[cfg(test)]
mod tests;
