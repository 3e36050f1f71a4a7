//! Every schedule of a tree of choices, each once, the deepest branch first.
//!
//! The one idea: what is still to be run is a stack of prefixes. A run that followed one of them
//! adds, for each point beyond its prefix, the choices that it did not make there; nothing else
//! need be remembered.

use crate::explorer::outcome::{Control, Outcome};
use crate::explorer::schedule::{Choice, Schedule};
use crate::explorer::strategy::{Chooser, Follow, Next, Point};

/// Says which choices there are at a point, the one that is made first in front.
pub(super) type Choices = fn(&Point<'_>, usize) -> Vec<Choice>;

/// The prefixes that are still to be run.
#[derive(Debug)]
pub(super) struct Enumeration {
    choices: Choices,
    /// What `choices` is told besides the point.
    bound: usize,
    prefixes: Vec<Schedule>,
    /// Lengths of the prefixes that were handed out and not observed.
    under_way: std::collections::VecDeque<usize>,
    incomplete: Vec<String>,
}

impl Enumeration {
    pub(super) fn new(choices: Choices, bound: usize) -> Self {
        Enumeration {
            choices,
            bound,
            prefixes: vec![Schedule::default()],
            under_way: std::collections::VecDeque::new(),
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
        self.under_way.push_back(prefix.0.len());
        Next::Run(Box::new(First {
            prefix: Follow(prefix),
            choices: self.choices,
            bound: self.bound,
        }))
    }

    pub(super) fn observe(&mut self, outcome: &Outcome) {
        let prefix = self.under_way.pop_front().unwrap_or_default();
        if let Control::Lost(why) = &outcome.control {
            self.incomplete
                .push(format!("what follows {}: {why}", outcome.schedule));
        }
        for (place, made) in outcome.transitions.iter().enumerate().skip(prefix) {
            let point = Point {
                before: &outcome.schedule.0[..place],
                transitions: &outcome.transitions[..place],
                enabled: &made.enabled,
            };
            let others = (self.choices)(&point, self.bound).into_iter();
            for other in others.filter(|other| *other != made.choice).rev() {
                let mut schedule = outcome.schedule.0[..place].to_vec();
                schedule.push(other);
                self.prefixes.push(Schedule(schedule));
            }
        }
    }

    pub(super) fn incomplete(&self) -> Vec<String> {
        self.incomplete.clone()
    }
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
        first.unwrap_or_else(|| Choice::Deliver(point.calmest()))
    }
}

/// The deliveries that are possible at a point, the calmest first.
pub(super) fn deliveries(point: &Point<'_>) -> Vec<Choice> {
    let calmest = point.calmest();
    let others = point.enabled.iter().map(|(request, _)| *request);
    let others = others.filter(|request| *request != calmest);
    std::iter::once(calmest)
        .chain(others)
        .map(Choice::Deliver)
        .collect()
}
