//! The smallest facts of an impossible part that contradict each other.
//!
//! A set of facts contradicts itself if the part is impossible when only they are known (see
//! [`Part::new`]). More facts forbid more, so whatever can be left out of a contradiction can be
//! left out of it at any time: one pass over the facts finds a set of which none can be spared.
//! Where the part is small, all smaller sets are then tried.

use std::collections::HashSet;

use super::budget::Budget;
use super::part::Part;
use super::recording::Recording;
use super::search::{Found, Stuck, search};
use super::{Contradiction, Fact, reason};
use crate::history::Completion;
use crate::model;

/// Steps that one attempt may take: what is hard to decide is not worth sparing.
const ATTEMPT: Budget = Budget::steps(500_000);

/// Steps that all attempts together may take.
const STEPS: u64 = 20_000_000;

/// Roughly what it costs to build a part, in steps for each of its facts; it only bounds time.
const BUILD: u64 = 8;

/// How many smaller sets of one size are tried.
const MOST_SETS: usize = 2_000;

/// The smallest contradiction among `facts`, a part that is known to have one.
pub(super) fn smallest(recording: &Recording, facts: &[Fact], budget: Budget) -> Contradiction {
    let mut shrink = Shrink::new(recording, facts, budget);
    let known = shrink.spare_whatever_can_be(shrink.telling.clone());
    let known = shrink.find_smaller(known.len()).unwrap_or(known);
    shrink.conclude(known)
}

/// A contradiction that is smaller than one that was plain to see, if the part that it belongs
/// to has one.
pub(super) fn refine(
    recording: &Recording,
    parts: &[Vec<Fact>],
    evident: Contradiction,
    budget: Budget,
) -> Contradiction {
    let is_its = |facts: &&Vec<Fact>| evident.facts.iter().any(|fact| facts.contains(fact));
    // The facts of a contradiction that joins parts, by a purchase's id, are at most two.
    let part: Vec<_> = parts.iter().filter(is_its).flatten().copied().collect();
    let mut shrink = Shrink::new(recording, &part, budget);
    match shrink.find_smaller(evident.facts.len()) {
        Some(known) => shrink.conclude(known),
        None => Contradiction {
            is_smallest: !shrink.gave_up,
            ..evident
        },
    }
}

/// Whether not to know a fact makes a difference.
fn is_telling(recording: &Recording, fact: &Fact) -> bool {
    match fact {
        Fact::Operation(index) => match &recording.operations[*index].completion {
            Completion::Ok(_) => true,
            Completion::Fail(told) => model::observed(told).is_some(),
            Completion::Info(_) => false,
        },
        Fact::Stock(_) | Fact::Balance(_) => true,
    }
}

struct Shrink<'a> {
    recording: &'a Recording,
    /// The part.
    facts: &'a [Fact],
    /// Those of its facts that a contradiction can consist of.
    telling: Vec<Fact>,
    /// What one attempt may take.
    budget: Budget,
    /// What all of them may still take.
    left: Budget,
    /// Whether some attempt came to nothing, so that a smaller set may have been missed.
    gave_up: bool,
}

impl<'a> Shrink<'a> {
    fn new(recording: &'a Recording, facts: &'a [Fact], budget: Budget) -> Self {
        let telling = facts.iter().filter(|fact| is_telling(recording, fact));
        let mut telling: Vec<_> = telling.copied().collect();
        telling.sort();
        Shrink {
            recording,
            facts,
            telling,
            budget: budget.min(ATTEMPT),
            left: Budget::steps(STEPS),
            gave_up: false,
        }
    }

    fn part(&self, known: &[Fact]) -> Part {
        let known: HashSet<_> = known.iter().collect();
        Part::new(self.recording, self.facts, |fact| known.contains(&fact))
    }

    /// Whether `known` is found to contradict itself.
    fn contradicts(&mut self, known: &[Fact]) -> bool {
        if self.left.spend(BUILD * self.facts.len() as u64).is_err() {
            self.gave_up = true;
            return false;
        }
        let before = self.budget.min(self.left);
        let mut budget = before;
        let found = search(&self.part(known), &mut budget);
        self.gave_up |= matches!(found, Found::GaveUp);
        // An attempt is given no more than is left, so this is not refused.
        let _ = self.left.spend(budget.spent_since(before));
        matches!(found, Found::Nothing(_))
    }

    /// Leaves out halves, quarters and so on, the last first, and at the end one by one.
    fn spare_whatever_can_be(&mut self, mut known: Vec<Fact>) -> Vec<Fact> {
        let mut size = known.len().div_ceil(2);
        while size > 0 {
            let mut end = known.len();
            while end > 0 {
                let start = end.saturating_sub(size);
                let rest = [&known[..start], &known[end..]].concat();
                if self.contradicts(&rest) {
                    known = rest;
                }
                end = start;
            }
            size = match size {
                1 => 0,
                _ => size.div_ceil(2),
            };
        }
        known
    }

    /// A contradiction of less than `size` facts, the smallest first.
    fn find_smaller(&mut self, size: usize) -> Option<Vec<Fact>> {
        for size in 1..size {
            let Some(sets) = combinations(self.telling.len(), size) else {
                self.gave_up = true;
                return None;
            };
            for set in sets {
                let set: Vec<_> = set.into_iter().map(|index| self.telling[index]).collect();
                if self.contradicts(&set) {
                    return Some(set);
                }
            }
        }
        None
    }

    fn conclude(self, known: Vec<Fact>) -> Contradiction {
        let part = self.part(&known);
        let stuck = match search(&part, &mut Budget::default()) {
            Found::Nothing(stuck) => stuck,
            Found::Order(_) | Found::GaveUp => Stuck::default(),
        };
        Contradiction {
            reason: reason::explain(self.recording, &part, &known, &stuck),
            facts: known,
            is_smallest: !self.gave_up,
        }
    }
}

/// All sets of `size` of the numbers below `count`, unless there are too many.
fn combinations(count: usize, size: usize) -> Option<Vec<Vec<usize>>> {
    let mut sets = vec![Vec::new()];
    for _ in 0..size {
        let longer = |set: Vec<usize>| {
            let first = set.last().map_or(0, |last| last + 1);
            (first..count).map(move |next| [set.as_slice(), &[next]].concat())
        };
        let all = sets.into_iter().flat_map(longer);
        sets = all.take(MOST_SETS + 1).collect();
        if sets.len() > MOST_SETS {
            return None;
        }
    }
    Some(sets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Operation, Receipt, Request};
    use crate::rows::Shop;

    #[test]
    fn an_attempt_that_gives_up_is_not_forgotten() {
        let operation = |user_id| Operation {
            request: Request::new(user_id, 1),
            intended_ns: 0,
            invoked_ns: 0,
            completed_ns: 1,
            status: None,
            completion: Completion::Ok(Receipt::default()),
        };
        let recording = Recording {
            initial: Shop::default().item(1, 1, 1).wallet(1, 1).wallet(2, 1),
            operations: vec![operation(1), operation(2)],
            ..Recording::default()
        };
        let facts = [Fact::Operation(0), Fact::Operation(1)];
        let mut shrink = Shrink::new(&recording, &facts, Budget::default());
        assert!(shrink.contradicts(&facts) && !shrink.gave_up);
        shrink.budget = Budget::steps(1);
        assert!(!shrink.contradicts(&facts) && shrink.gave_up);
        shrink.budget = Budget::default();
        assert!(shrink.contradicts(&facts) && shrink.gave_up);
    }

    #[test]
    fn combinations_are_those_of_different_numbers_unless_there_are_too_many() {
        let pairs = combinations(3, 2).unwrap();
        assert_eq!(pairs, [[0, 1], [0, 2], [1, 2]]);
        assert_eq!(combinations(MOST_SETS, 1).unwrap().len(), MOST_SETS);
        assert_eq!(combinations(MOST_SETS + 1, 1), None);
    }
}
