//! First the schedules of which something is suspected, then all of another strategy.
//!
//! A [`Guide`] says who is to go how far before whom: it is no schedule, since where somebody waits
//! for a lock it goes on with who can. What guides find is found early; only the other strategy
//! covers anything.

use std::collections::VecDeque;

use crate::execution::Execution;
use crate::schedule::{Choice, RequestIndex};
use crate::strategy::{Chooser, Next, Point, Strategy};

/// A request that goes on until it has had so many choices, counted from the run's begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leg {
    /// Who goes on.
    pub request: RequestIndex,
    /// How many choices it then has had.
    pub choices: usize,
}

/// Legs, in order: at each point the first that is not over and can go on does so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guide(pub Vec<Leg>);

/// Guides, and then another strategy.
#[derive(Debug)]
pub struct Guided<S> {
    guides: VecDeque<Guide>,
    then: S,
    /// Of the runs handed out and not yet observed, whether each is the other strategy's.
    handed_out: VecDeque<bool>,
}

impl<S: Strategy> Guided<S> {
    /// Runs each of `guides` once, and then what `then` wants.
    pub fn new(guides: impl IntoIterator<Item = Guide>, then: S) -> Self {
        Guided {
            guides: guides.into_iter().collect(),
            then,
            handed_out: VecDeque::new(),
        }
    }
}

impl<S: Strategy> Strategy for Guided<S> {
    fn next(&mut self) -> Next {
        if let Some(guide) = self.guides.pop_front() {
            self.handed_out.push_back(false);
            return Next::Run(Box::new(guide));
        }
        let next = self.then.next();
        if matches!(next, Next::Run(_)) {
            self.handed_out.push_back(true);
        }
        next
    }

    fn observe(&mut self, execution: &Execution) {
        match self.handed_out.pop_front() {
            Some(true) => self.then.observe(execution),
            _ => self.then.overhear(execution),
        }
    }

    fn pruned(&self) -> u64 {
        self.then.pruned()
    }

    fn incomplete(&self) -> Vec<String> {
        self.then.incomplete()
    }
}

impl Chooser for Guide {
    /// Worked out from the choices made, so that a run can be repeated.
    fn choose(&mut self, point: &Point<'_>) -> Choice {
        let had = |request: RequestIndex| {
            let delivered = point.before.iter().flat_map(|choice| choice.requests());
            delivered.filter(|other| *other == request).count()
        };
        let mut legs = self.0.iter();
        let leg = legs.find(|leg| point.can(leg.request) && had(leg.request) < leg.choices);
        Choice::Deliver(leg.map_or_else(|| point.nonpreemptive(), |leg| leg.request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::footprint::Footprint;

    const A: RequestIndex = RequestIndex(0);
    const B: RequestIndex = RequestIndex(1);

    fn chosen(guide: &mut Guide, before: &[RequestIndex], enabled: &[RequestIndex]) -> Choice {
        let before: Vec<_> = before.iter().copied().map(Choice::Deliver).collect();
        let enabled = enabled.iter().map(|request| (*request, Footprint::NOTHING));
        let enabled: Vec<_> = enabled.collect();
        guide.choose(&Point {
            before: &before,
            transitions: &[],
            enabled: &enabled,
        })
    }

    #[test]
    fn a_guide_leaves_a_request_where_its_leg_ends_and_comes_back_to_it() {
        let leg = |request, choices| Leg { request, choices };
        let mut guide = Guide(vec![leg(A, 1), leg(B, usize::MAX), leg(A, usize::MAX)]);
        assert_eq!(chosen(&mut guide, &[], &[A, B]), Choice::Deliver(A));
        assert_eq!(chosen(&mut guide, &[A], &[A, B]), Choice::Deliver(B));
        // B waits for a lock of A's.
        assert_eq!(chosen(&mut guide, &[A, B], &[A]), Choice::Deliver(A));
        assert_eq!(chosen(&mut guide, &[A, B, A], &[A, B]), Choice::Deliver(B));
    }
}
