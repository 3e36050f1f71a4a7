//! Pairs of steps that are on the server at once.
//!
//! Some races live inside two overlapping statements: an `INSERT … WHERE NOT EXISTS` looks and
//! then writes, and no serial order of statements lets two of them both look before either has
//! written. Here each pair of held steps is delivered together, before either reply is waited
//! for, as well as alone. What PostgreSQL makes of such a pair is a race, and so each pair is
//! tried anew in every round until the budget is spent; a violation is one, but nothing is ever
//! proven so.

use super::enumeration::{Enumeration, deliveries};
use crate::execution::Execution;
use crate::schedule::Choice;
use crate::strategy::{Next, Point, Strategy};

/// Overlapping pairs.
#[derive(Debug)]
pub struct Overlap {
    enumeration: Enumeration,
}

impl Default for Overlap {
    fn default() -> Self {
        Overlap {
            enumeration: Enumeration::new(choices, 0),
        }
    }
}

impl Strategy for Overlap {
    fn next(&mut self) -> Next {
        match self.enumeration.next() {
            Next::Exhausted => {
                self.enumeration = Enumeration::new(choices, 0);
                self.enumeration.next()
            }
            next => next,
        }
    }

    fn observe(&mut self, execution: &Execution) {
        self.enumeration.observe(execution);
    }

    fn incomplete(&self) -> Vec<String> {
        vec!["what two statements do while both run is left to chance".to_owned()]
    }
}

fn choices(point: &Point<'_>, _: usize) -> Vec<Choice> {
    let mut choices = Vec::new();
    for (at, (first, _)) in point.enabled.iter().enumerate() {
        for (second, _) in &point.enabled[at + 1..] {
            choices.push(Choice::Together(*first, *second));
            choices.push(Choice::Together(*second, *first));
        }
    }
    choices.extend(deliveries(point));
    choices
}
