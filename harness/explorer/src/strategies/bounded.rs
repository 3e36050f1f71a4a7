//! Every schedule with at most so many preemptions.
//!
//! Most bugs need few (M. Musuvathi, S. Qadeer: Iterative context bounding for systematic testing
//! of multithreaded programs, PLDI 2007). A preemption leaves a request that could have gone on;
//! leaving one that is answered, or that waits, is none.

use super::enumeration::{Enumeration, deliveries};
use crate::execution::Execution;
use crate::schedule::Choice;
use crate::strategy::{Next, Point, Strategy};

/// Preemption-bounded search.
#[derive(Debug)]
pub struct Bounded(Enumeration);

impl Bounded {
    /// With at most `bound` preemptions.
    pub fn new(bound: usize) -> Self {
        Bounded(Enumeration::new(choices, bound))
    }
}

impl Strategy for Bounded {
    fn next(&mut self) -> Next {
        self.0.next()
    }

    fn observe(&mut self, execution: &Execution) {
        self.0.observe(execution);
    }

    fn incomplete(&self) -> Vec<String> {
        self.0.incomplete()
    }
}

fn choices(point: &Point<'_>, bound: usize) -> Vec<Choice> {
    let all = deliveries(point);
    let last = point
        .before
        .last()
        .and_then(|choice| choice.requests().last());
    let can_go_on = last.is_some_and(|last| point.can(last));
    if can_go_on && preemptions(point) >= bound {
        return all[..1].to_vec();
    }
    all
}

/// The preemptions before a point.
fn preemptions(point: &Point<'_>) -> usize {
    let pairs = point.transitions.windows(2);
    pairs
        .filter(|pair| {
            let last = pair[0].choice.requests().last();
            let goes_on = pair[1].choice.requests().next() == last;
            let could = |(request, _): &(_, _)| Some(*request) == last;
            !goes_on && pair[1].enabled.iter().any(could)
        })
        .count()
}
