//! Every schedule of a tree of choices, each once, the deepest branch first.
//!
//! What is still to be run is a stack of prefixes. A run that followed one of them
//! adds, for each point beyond its prefix, the choices that it did not make there. Besides, only
//! what the prefix was offered is remembered: a run that is offered something else is not the one
//! that was wanted.

use std::collections::VecDeque;

use super::{ATTEMPTS, led_elsewhere};
use crate::control::Control;
use crate::execution::{Execution, Transition};
use crate::schedule::{Choice, RequestIndex, Schedule};
use crate::strategy::{Chooser, Follow, Next, Point};

/// Says which choices there are at a point, the one that is made first in front.
pub(super) type Choices = fn(&Point<'_>, usize) -> Vec<Choice>;

/// The prefixes that are still to be run.
#[derive(Debug)]
pub(super) struct Enumeration {
    choices: Choices,
    /// What `choices` is told besides the point.
    bound: usize,
    prefixes: Vec<Prefix>,
    /// Those that were handed out and not observed.
    under_way: VecDeque<Prefix>,
    incomplete: Vec<String>,
}

/// The beginning of a run.
#[derive(Debug, Clone, Default)]
struct Prefix {
    choices: Vec<Choice>,
    /// The requests among which each choice was made.
    offered: Vec<Vec<RequestIndex>>,
    /// How often a run of it was offered something else.
    diverged: u32,
}

impl Enumeration {
    pub(super) fn new(choices: Choices, bound: usize) -> Self {
        Enumeration {
            choices,
            bound,
            prefixes: vec![Prefix::default()],
            under_way: VecDeque::new(),
            incomplete: Vec::new(),
        }
    }

    pub(super) fn next(&mut self) -> Next {
        let Some(prefix) = self.prefixes.pop() else {
            return match self.under_way.is_empty() {
                true => Next::Exhausted,
                false => Next::Wait,
            };
        };
        let run = First {
            prefix: Follow(Schedule(prefix.choices.clone())),
            choices: self.choices,
            bound: self.bound,
        };
        self.under_way.push_back(prefix);
        Next::Run(Box::new(run))
    }

    pub(super) fn observe(&mut self, execution: &Execution) {
        let prefix = self.under_way.pop_front().unwrap_or_default();
        if let Control::Lost(why) = &execution.control {
            self.incomplete
                .push(format!("what follows {}: {why}", execution.schedule));
        } else if let Some(place) = prefix.diverged(execution) {
            if prefix.diverged + 1 < ATTEMPTS {
                let diverged = prefix.diverged + 1;
                return self.prefixes.push(Prefix { diverged, ..prefix });
            }
            self.incomplete
                .push(led_elsewhere(&execution.schedule, place));
        }
        let offered: Vec<_> = execution.transitions.iter().map(offered).collect();
        let beyond = prefix.choices.len();
        for (place, made) in execution.transitions.iter().enumerate().skip(beyond) {
            let point = Point {
                before: &execution.schedule.0[..place],
                transitions: &execution.transitions[..place],
                enabled: &made.enabled,
            };
            let others = (self.choices)(&point, self.bound).into_iter();
            for other in others.filter(|other| *other != made.choice).rev() {
                let mut choices = execution.schedule.0[..place].to_vec();
                choices.push(other);
                self.prefixes.push(Prefix {
                    choices,
                    offered: offered[..=place].to_vec(),
                    diverged: 0,
                });
            }
        }
    }

    pub(super) fn incomplete(&self) -> Vec<String> {
        self.incomplete.clone()
    }
}

impl Prefix {
    /// The first place at which a run of it was offered something else. What follows a pair is
    /// left to chance, so there is nothing that it must be.
    fn diverged(&self, execution: &Execution) -> Option<usize> {
        let is_pair = |choice: &Choice| matches!(choice, Choice::Together(..));
        if self.choices.iter().any(is_pair) {
            return None;
        }
        let met = |place: &usize| execution.transitions.get(*place).map(offered);
        (0..self.offered.len()).find(|place| met(place).as_ref() != Some(&self.offered[*place]))
    }
}

/// The requests among which a choice was made.
fn offered(made: &Transition) -> Vec<RequestIndex> {
    made.enabled.iter().map(|(request, _)| *request).collect()
}

/// Follows a prefix, and then makes the first choice everywhere.
struct First {
    prefix: Follow,
    choices: Choices,
    bound: usize,
}

impl Chooser for First {
    fn choose(&mut self, point: &Point<'_>) -> Choice {
        if point.before.len() < self.prefix.0.0.len() {
            return self.prefix.choose(point);
        }
        let first = (self.choices)(point, self.bound).first().copied();
        first.unwrap_or_else(|| Choice::Deliver(point.nonpreemptive()))
    }
}

/// The deliveries that are possible at a point, the nonpreemptive first.
pub(super) fn deliveries(point: &Point<'_>) -> Vec<Choice> {
    let nonpreemptive = point.nonpreemptive();
    let others = point.enabled.iter().map(|(request, _)| *request);
    let others = others.filter(|request| *request != nonpreemptive);
    std::iter::once(nonpreemptive)
        .chain(others)
        .map(Choice::Deliver)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::footprint::Footprint;

    /// Runs two requests of `steps` steps each under a chooser; `is_late` says at which points the
    /// second of them has nothing to deliver yet.
    fn run(chooser: &mut dyn Chooser, steps: usize, is_late: impl Fn(usize) -> bool) -> Execution {
        let mut left = [steps; 2];
        let mut transitions: Vec<Transition> = Vec::new();
        let mut before = Vec::new();
        while left != [0; 2] {
            let can = |request: &usize| {
                left[*request] > 0 && !(*request == 1 && left[0] > 0 && is_late(before.len()))
            };
            let enabled = (0..2).filter(can);
            let enabled: Vec<_> = enabled
                .map(|request| (RequestIndex(request), Footprint::Everything))
                .collect();
            let choice = chooser.choose(&Point {
                before: &before,
                transitions: &transitions,
                enabled: &enabled,
            });
            let moved: Vec<_> = choice.requests().collect();
            left[moved[0].0] -= 1;
            before.push(choice);
            transitions.push(Transition {
                choice,
                enabled,
                touched: Footprint::Everything,
                moved,
            });
        }
        Execution {
            schedule: Schedule(before),
            transitions,
            ..Execution::default()
        }
    }

    fn search(mut is_late: impl FnMut(u64, usize) -> bool) -> (u64, Vec<String>) {
        let mut all = Enumeration::new(|point, _| deliveries(point), 0);
        let mut runs = 0;
        while let Next::Run(mut chooser) = all.next() {
            runs += 1;
            let is_late = std::cell::RefCell::new(&mut is_late);
            let execution = run(chooser.as_mut(), 2, |place| {
                is_late.borrow_mut()(runs, place)
            });
            all.observe(&execution);
        }
        (runs, all.incomplete())
    }

    #[test]
    fn a_prefix_that_is_offered_more_than_before_is_not_taken_for_the_same() {
        assert_eq!(search(|_, _| false), (6, Vec::new()));
        // The first run meets the second request late; all others do not.
        let (_, incomplete) = search(|run, place| run == 1 && place == 0);
        assert!(!incomplete.is_empty());
    }

    #[test]
    fn a_prefix_that_is_offered_something_else_once_is_run_again() {
        let (runs, incomplete) = search(|run, place| run == 2 && place == 0);
        assert_eq!((runs, incomplete), (7, Vec::new()));
    }
}
