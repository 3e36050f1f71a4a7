//! Probabilistic concurrency testing: random priorities that change at a few random places.
//!
//! A bug that needs `d` ordering constraints is found by one run with probability at least
//! `1 / (n k^(d-1))`, for `n` requests and `k` steps (S. Burckhardt, P. Kothari, M. Musuvathi,
//! S. Nagarakatte: A randomized scheduler with probabilistic guarantees of finding bugs,
//! ASPLOS 2010). The number of steps is that of the longest run seen so far.

use rand::RngExt;
use rand::seq::SliceRandom;
use rowlock_core::seed::Seed;

use crate::execution::Execution;
use crate::schedule::{Choice, RequestIndex};
use crate::strategy::{Chooser, Next, Point, Strategy};

/// PCT; it ends with its budget.
#[derive(Debug)]
pub struct Pct {
    seed: Seed,
    requests: usize,
    depth: usize,
    steps: usize,
    runs: u64,
}

impl Pct {
    /// For bugs of `depth` ordering constraints, at least 1, among `requests` requests.
    pub fn new(seed: Seed, requests: usize, depth: usize) -> Self {
        Pct {
            seed,
            requests,
            depth: depth.max(1),
            steps: 0,
            runs: 0,
        }
    }

    /// The least probability that one run finds a bug of this depth.
    pub fn probability(&self) -> f64 {
        let steps = self.steps.max(1) as f64;
        1.0 / (self.requests as f64 * steps.powi(self.depth as i32 - 1))
    }
}

impl Strategy for Pct {
    fn next(&mut self) -> Next {
        if self.runs > 0 && self.steps == 0 {
            return Next::Wait;
        }
        self.runs += 1;
        let mut rng = self.seed.rng(&format!("pct {}", self.runs));
        let mut order: Vec<_> = (0..self.requests).map(RequestIndex).collect();
        order.shuffle(&mut rng);
        let steps = self.steps.max(1);
        let changes = (1..self.depth).map(|_| rng.random_range(0..steps));
        Next::Run(Box::new(PctRun {
            order,
            changes: changes.collect(),
        }))
    }

    fn observe(&mut self, execution: &Execution) {
        self.steps = self.steps.max(execution.transitions.len());
    }
}

struct PctRun {
    /// The requests, the highest priority first.
    order: Vec<RequestIndex>,
    /// Before each of these steps, the one that would go falls behind all others.
    changes: Vec<usize>,
}

impl PctRun {
    fn highest(order: &[RequestIndex], enabled: impl Fn(RequestIndex) -> bool) -> RequestIndex {
        let mut enabled = order.iter().copied().filter(|request| enabled(*request));
        enabled.next().expect("a point has something to choose")
    }
}

impl Chooser for PctRun {
    /// Priorities are worked out from the start each time, so that a run can be repeated.
    fn choose(&mut self, point: &Point<'_>) -> Choice {
        let mut order = self.order.clone();
        for place in 0..=point.before.len() {
            let enabled = point
                .transitions
                .get(place)
                .map_or(point.enabled, |made| &made.enabled);
            for _ in self.changes.iter().filter(|change| **change == place) {
                let can = |request| enabled.iter().any(|(other, _)| *other == request);
                let falls = Self::highest(&order, can);
                order.retain(|request| *request != falls);
                order.push(falls);
            }
        }
        Choice::Deliver(Self::highest(&order, |request| point.can(request)))
    }
}
