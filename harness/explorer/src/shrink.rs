//! Shrinking: the same violation with fewer requests, and then with fewer switches between them.
//!
//! Greedy, one reduction after another, each kept when a run shows that the same
//! invariant is violated still. The runs are the same every time, and bounded. A run whose control
//! was lost never counts, and what it shrinks to is what really ran.

use std::collections::{BTreeMap, VecDeque};

use rowlock_core::program::Program;

use super::run::Run;
use super::runner::Runner;
use super::schedule::{Choice, RequestIndex, Schedule};
use super::strategy::{Chooser, Point};

/// The most runs that shrinking may take, unless told otherwise.
pub const RUNS: usize = 400;

/// Runs of a schedule that leaves something to chance.
const CHANCES: usize = 100;

/// What is left of a violation.
#[derive(Debug, Clone)]
pub struct Shrunk<P: Program> {
    /// The program, with as few requests as were found to do.
    pub program: P,
    /// A run of it that violates the same invariant.
    pub run: Run<P>,
    /// How many runs it took.
    pub runs: usize,
}

/// Shrinks the violation of the invariant called `name` in `run`, in at most `budget` runs.
///
/// # Errors
/// What keeps a run from being made.
pub async fn shrink<R: Runner>(
    runner: &mut R,
    program: &R::Program,
    run: &Run<R::Program>,
    name: &str,
    budget: usize,
) -> Result<Shrunk<R::Program>, R::Error> {
    let mut shrinking = Shrinking {
        runner,
        name,
        budget,
        best: Shrunk {
            program: program.clone(),
            run: run.clone(),
            runs: 0,
        },
    };
    shrinking.regain_control().await?;
    shrinking.drop_requests().await?;
    shrinking.simplify().await?;
    shrinking.drop_switches().await?;
    Ok(shrinking.best)
}

struct Shrinking<'a, R: Runner> {
    runner: &'a mut R,
    name: &'a str,
    budget: usize,
    best: Shrunk<R::Program>,
}

impl<R: Runner> Shrinking<'_, R> {
    /// Looks for the same violation under control, if the first was not.
    async fn regain_control(&mut self) -> Result<(), R::Error> {
        if !self.best.run.execution.control.is_kept() {
            let program = self.best.program.clone();
            let schedule = self.best.run.execution.schedule.clone();
            self.try_run(&program, schedule, |_| true).await?;
        }
        Ok(())
    }

    /// Leaves out one request after another, the last first, as long as one can be missed.
    async fn drop_requests(&mut self) -> Result<(), R::Error> {
        'smaller: loop {
            let count = self.best.program.call_count();
            if count < 2 {
                return Ok(());
            }
            for request in (0..count).rev().map(RequestIndex) {
                let program = self.best.program.without(request.0);
                let schedule = forget(&self.best.run.execution.schedule, request);
                let schedules = std::iter::once(schedule.clone()).chain(interruptions(&schedule));
                for schedule in schedules {
                    if self.try_run(&program, schedule, |_| true).await? {
                        continue 'smaller;
                    }
                }
            }
            return Ok(());
        }
    }

    /// Takes simpler rows and values, as long as the same schedule is as bad with them.
    async fn simplify(&mut self) -> Result<(), R::Error> {
        'simpler: loop {
            for program in self.best.program.simpler() {
                let schedule = self.best.run.execution.schedule.clone();
                if self.try_run(&program, schedule, |_| true).await? {
                    continue 'simpler;
                }
            }
            return Ok(());
        }
    }

    /// Moves a request's choices together, as long as that leaves fewer switches.
    async fn drop_switches(&mut self) -> Result<(), R::Error> {
        'fewer: loop {
            let program = self.best.program.clone();
            let now = switches(&self.best.run.execution.schedule);
            let mut candidates = with_fewer_switches(&self.best.run.execution.schedule);
            candidates.sort_by_key(switches);
            for candidate in candidates {
                let has_fewer = |run: &Run<R::Program>| switches(&run.execution.schedule) < now;
                if self.try_run(&program, candidate, has_fewer).await? {
                    continue 'fewer;
                }
            }
            return Ok(());
        }
    }

    /// Runs a candidate, and keeps it if it is as bad, and good enough. One that leaves something
    /// to chance has more than one.
    async fn try_run(
        &mut self,
        program: &R::Program,
        schedule: Schedule,
        is_better: impl Fn(&Run<R::Program>) -> bool,
    ) -> Result<bool, R::Error> {
        let chances = schedule.steps_to_pair().map_or(1, |_| CHANCES);
        for _ in 0..chances.min(self.budget - self.best.runs) {
            self.best.runs += 1;
            let mut follow = LenientFollow::new(schedule.clone());
            let run = self.runner.run(program, &mut follow).await?;
            let is_violated = run.violated().any(|finding| finding.name == self.name);
            if run.execution.control.is_kept() && is_violated && is_better(&run) {
                self.best.program = program.clone();
                self.best.run = run;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Follows a schedule as far as the run allows: a choice that cannot be made is passed over.
#[derive(Debug, Clone)]
struct LenientFollow {
    left: VecDeque<Choice>,
}

impl LenientFollow {
    fn new(schedule: Schedule) -> LenientFollow {
        LenientFollow {
            left: schedule.0.into(),
        }
    }
}

impl Chooser for LenientFollow {
    fn choose(&mut self, point: &Point<'_>) -> Choice {
        while let Some(choice) = self.left.pop_front() {
            if choice.requests().all(|request| point.can(request)) {
                return choice;
            }
            if let Some(request) = choice.requests().find(|request| point.can(*request)) {
                return Choice::Deliver(request);
            }
        }
        Choice::Deliver(point.nonpreemptive())
    }
}

/// The schedule without `request`, the requests behind it counted anew.
fn forget(schedule: &Schedule, request: RequestIndex) -> Schedule {
    let number = |other: RequestIndex| match other.0 > request.0 {
        true => RequestIndex(other.0 - 1),
        false => other,
    };
    let choice = |choice: &Choice| {
        let mut left = choice
            .requests()
            .filter(|other| *other != request)
            .map(number);
        match (left.next(), left.next()) {
            (Some(first), Some(second)) => Some(Choice::Together(first, second)),
            (Some(one), None) => Some(Choice::Deliver(one)),
            (None, _) => None,
        }
    };
    Schedule(schedule.0.iter().filter_map(choice).collect())
}

/// The schedules in which one request is interrupted once, by all the others one after another:
/// where moving choices about leads nowhere, one of these often does.
fn interruptions(schedule: &Schedule) -> Vec<Schedule> {
    let mut counts = BTreeMap::<RequestIndex, usize>::new();
    for request in schedule.0.iter().flat_map(|choice| choice.requests()) {
        *counts.entry(request).or_default() += 1;
    }
    let block = |request: RequestIndex, steps| vec![Choice::Deliver(request); steps];
    let interrupt = |(&request, &steps): (&RequestIndex, &usize)| {
        let others = counts.iter().filter(|(other, _)| **other != request);
        let others = others.flat_map(|(other, steps)| block(*other, *steps));
        let others: Vec<_> = others.collect();
        let at = move |at| {
            [
                block(request, at),
                others.clone(),
                block(request, steps - at),
            ]
            .concat()
        };
        (1..steps).map(at).map(Schedule)
    };
    counts.iter().flat_map(interrupt).collect()
}

/// What makes a schedule hard to read: switches between requests, then pairs at once.
fn switches(schedule: &Schedule) -> (usize, usize) {
    let order: Vec<_> = schedule
        .0
        .iter()
        .flat_map(|choice| choice.requests())
        .collect();
    let switches = order.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let pairs = schedule
        .0
        .iter()
        .filter(|choice| matches!(choice, Choice::Together(..)));
    (switches, pairs.count())
}

/// Every schedule with fewer switches that one move leads to: a pair untied, or a block of one
/// request's choices moved to that request's block before or after it; and those with a single
/// interruption.
fn with_fewer_switches(schedule: &Schedule) -> Vec<Schedule> {
    let now = switches(schedule);
    let pairs = schedule
        .0
        .iter()
        .enumerate()
        .filter_map(|(at, choice)| match choice {
            Choice::Together(first, second) => {
                let mut choices = schedule.0.clone();
                choices.splice(at..=at, [Choice::Deliver(*first), Choice::Deliver(*second)]);
                Some(Schedule(choices))
            }
            Choice::Deliver(_) => None,
        });
    let blocks: Vec<&[Choice]> = schedule.0.chunk_by(|one, other| one == other).collect();
    let moves = (0..blocks.len()).flat_map(|from| {
        let same = |to: &usize| blocks[*to][0] == blocks[from][0];
        let before = (0..from).rev().find(same);
        let after = (from + 1..blocks.len()).find(same);
        [before, after]
            .into_iter()
            .flatten()
            .map(move |to| (from, to))
    });
    let moved = moves.map(|(from, to)| {
        let mut order: Vec<_> = (0..blocks.len()).filter(|at| *at != from).collect();
        let at = order.iter().position(|at| *at == to).unwrap_or(0);
        order.insert(if to < from { at + 1 } else { at }, from);
        Schedule(order.iter().flat_map(|at| blocks[*at]).copied().collect())
    });
    let all = pairs.chain(moved).chain(interruptions(schedule));
    all.filter(|other| switches(other) < now).collect()
}

#[cfg(test)]
mod tests;
