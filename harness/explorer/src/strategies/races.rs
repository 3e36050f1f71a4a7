//! Which steps of a run could have come in another order, with a difference.

use super::numbered::{Number, Numbered};
use super::observed::Commuting;
use crate::execution::Transition;
use crate::schedule::RequestIndex;

/// The steps that could have come before an earlier one on which they depend: the place of the
/// earlier one, and the requests of which one must go there for the order to be reversed. `touched`
/// are the numbers of what the steps touched; pairs of `commuting` do not depend on each other.
pub(super) fn reversals(
    transitions: &[Transition],
    touched: &[Number],
    footprints: &Numbered,
    commuting: &Commuting,
) -> Vec<(usize, Vec<RequestIndex>)> {
    let count = transitions.len();
    // before[k]: the steps that must precede step k.
    let mut before: Vec<Places> = Vec::with_capacity(count);
    let mut found = Vec::new();
    for later in 0..count {
        let step = &transitions[later];
        let mut preceding = Places::none_of(count);
        let mut direct = Vec::new();
        let request = step.choice.requests().next();
        for earlier in (0..later).rev() {
            let other = &transitions[earlier];
            let is_same = other.moved.iter().any(|moved| step.moved.contains(moved));
            let depends = footprints.depend(touched[later], touched[earlier])
                && !commuting.contains(&(earlier, later));
            if (!is_same && !depends) || request.is_none() {
                continue;
            }
            let is_between = preceding.contains(earlier);
            let is_own = request.is_some_and(|request| other.moved.contains(&request));
            if depends && !is_between && !is_own {
                direct.push(earlier);
            }
            if !is_between {
                preceding.add_all(&before[earlier]);
                preceding.add(earlier);
            }
        }
        for earlier in direct {
            let between = earlier + 1..later;
            let needed = between.filter(|at| preceding.contains(*at));
            let needed: Vec<_> = needed.filter(|at| !before[*at].contains(earlier)).collect();
            let all = Places::of(count, &needed);
            // Whoever must wait for another of them cannot begin.
            let first = needed.iter().filter(|at| !before[**at].meets(&all));
            let first = first.filter_map(|at| transitions[*at].choice.requests().next());
            let mut wanted: Vec<_> = first.collect();
            if needed.is_empty() {
                wanted.extend(request);
            }
            found.push((earlier, wanted));
        }
        before.push(preceding);
    }
    found
}

/// A set of places in a run.
struct Places(Vec<u64>);

impl Places {
    fn none_of(count: usize) -> Places {
        Places(vec![0; count.div_ceil(64)])
    }

    fn of(count: usize, places: &[usize]) -> Places {
        let mut all = Places::none_of(count);
        places.iter().for_each(|place| all.add(*place));
        all
    }

    fn add(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    fn add_all(&mut self, others: &Places) {
        let words = self.0.iter_mut().zip(&others.0);
        words.for_each(|(word, other)| *word |= other);
    }

    fn contains(&self, place: usize) -> bool {
        self.0[place / 64] & (1 << (place % 64)) != 0
    }

    fn meets(&self, others: &Places) -> bool {
        let mut words = self.0.iter().zip(&others.0);
        words.any(|(word, other)| word & other != 0)
    }
}
