//! The serial orders of a program's calls.
//!
//! The one idea: a call that did not happen is not in the order, so that the orders are those of
//! every subset. They are many, and soon too many; how many is known without making them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many orders are made at most: those of six calls by six actors, 1,957, still fit.
///
/// Each is a run of the subject of its own, of some 10 ms; a program with more of them is
/// inconclusive rather than slow.
pub const ORDERS_LIMIT: u128 = 2_000;

/// One call of a program: whose it is, and which of its actor's story; both count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallIndex {
    /// Whose call it is.
    pub actor: usize,
    /// Which call of the actor's story.
    pub position: usize,
}

/// Some of a program's calls, one after another; an actor's own keep the order of its story.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Order(pub Vec<CallIndex>);

impl Order {
    /// Whether `call` is one of its calls.
    pub fn contains(&self, call: CallIndex) -> bool {
        self.0.contains(&call)
    }

    /// Whether no other's call comes between those of `actor`.
    pub(super) fn keeps_together(&self, actor: usize) -> bool {
        let runs = self.0.chunk_by(|one, other| one.actor == other.actor);
        runs.filter(|run| run[0].actor == actor).count() <= 1
    }

    /// It in words, each call by its name: `A then B`.
    pub fn describe(&self, name: impl Fn(CallIndex) -> String) -> String {
        if self.0.is_empty() {
            return "no call at all".into();
        }
        let names: Vec<_> = self.0.iter().map(|call| name(*call)).collect();
        match names.as_slice() {
            [only] => format!("{only} alone"),
            _ => names.join(" then "),
        }
    }
}

/// What may not be divided by another actor's calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Atomic {
    /// Each call: between two calls of one actor, others' may come.
    #[default]
    Call,
    /// Each story: an actor's calls come all together. Those of them that gave way or are unknown
    /// may still be missing: a story that was broken off is a shorter story, and no race.
    Story,
}

/// There are more orders than a run can try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{orders} serial orders, more than {ORDERS_LIMIT}")]
pub struct TooManyOrders {
    /// How many there are; `u128::MAX` stands for more than that.
    pub orders: u128,
}

impl fmt::Display for CallIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {} of actor {}", self.position + 1, self.actor + 1)
    }
}

/// Every order of every subset of the calls of `stories` (their lengths), the empty one first.
///
/// Of K actors with one call each there are 2, 5, 16, 65, 326, 1,957 for K from 1 to 6.
///
/// # Errors
/// Where there are more than [`ORDERS_LIMIT`].
pub fn orders(stories: &[usize], atomic: Atomic) -> Result<Vec<Order>, TooManyOrders> {
    let count = count_orders(stories, atomic);
    if count > ORDERS_LIMIT {
        return Err(TooManyOrders { orders: count });
    }
    let mut found = Vec::new();
    let mut prefix = Vec::new();
    match atomic {
        Atomic::Call => merge_calls(
            stories,
            &mut vec![0; stories.len()],
            &mut prefix,
            &mut found,
        ),
        Atomic::Story => {
            append_stories(
                stories,
                &mut vec![false; stories.len()],
                &mut prefix,
                &mut found,
            );
        }
    }
    found.sort_by_key(|order| order.0.len());
    Ok(found)
}

/// How many orders [`orders`] would make, without its limit; `u128::MAX` where that is too small.
pub fn count_orders(stories: &[usize], atomic: Atomic) -> u128 {
    // ways[n]: in how many ways n units (calls or stories) of the stories so far can come.
    let mut ways: Vec<u128> = vec![1];
    for &length in stories {
        // chosen[k]: in how many ways k units of this story are chosen.
        let chosen: Vec<u128> = match atomic {
            Atomic::Call => (0..=length).map(|k| choose(length, k)).collect(),
            Atomic::Story => vec![1, power_of_two(length).saturating_sub(1)],
        };
        let mut longer = vec![0_u128; ways.len() + chosen.len() - 1];
        for (before, ways_before) in ways.iter().enumerate() {
            for (more, ways_more) in chosen.iter().enumerate() {
                let merged = ways_before
                    .saturating_mul(*ways_more)
                    .saturating_mul(choose(before + more, more));
                longer[before + more] = longer[before + more].saturating_add(merged);
            }
        }
        ways = longer;
    }
    ways.into_iter().fold(0, u128::saturating_add)
}

/// Appends every order that begins with `prefix`; each actor's next call is at least `next`.
fn merge_calls(
    stories: &[usize],
    next: &mut Vec<usize>,
    prefix: &mut Vec<CallIndex>,
    found: &mut Vec<Order>,
) {
    found.push(Order(prefix.clone()));
    for (actor, &length) in stories.iter().enumerate() {
        let first = next[actor];
        for position in first..length {
            next[actor] = position + 1;
            prefix.push(CallIndex { actor, position });
            merge_calls(stories, next, prefix, found);
            prefix.pop();
        }
        next[actor] = first;
    }
}

/// Appends every order that begins with `prefix`, to which only actors not in `done` add calls.
fn append_stories(
    stories: &[usize],
    done: &mut Vec<bool>,
    prefix: &mut Vec<CallIndex>,
    found: &mut Vec<Order>,
) {
    found.push(Order(prefix.clone()));
    for (actor, &length) in stories.iter().enumerate() {
        if done[actor] {
            continue;
        }
        done[actor] = true;
        // The count was within its limit, so that a story is short.
        for chosen in 1_u64..1 << length {
            let before = prefix.len();
            let positions = (0..length).filter(|position| chosen >> position & 1 == 1);
            prefix.extend(positions.map(|position| CallIndex { actor, position }));
            append_stories(stories, done, prefix, found);
            prefix.truncate(before);
        }
        done[actor] = false;
    }
}

/// The binomial coefficient; `u128::MAX` where that is too small.
fn choose(of: usize, chosen: usize) -> u128 {
    let mut result = 1_u128;
    for step in 0..chosen.min(of - chosen) {
        let Some(product) = result.checked_mul((of - step) as u128) else {
            return u128::MAX;
        };
        result = product / (step as u128 + 1);
    }
    result
}

fn power_of_two(exponent: usize) -> u128 {
    let shift = u32::try_from(exponent).unwrap_or(u32::MAX);
    1_u128.checked_shl(shift).unwrap_or(u128::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rowlock_testing::seed::for_all;

    use super::*;

    fn factorial(n: u128) -> u128 {
        (1..=n).product()
    }

    #[test]
    fn single_calls_have_the_orders_of_the_closed_form() {
        for (calls, expected) in [
            (0, 1),
            (1, 2),
            (2, 5),
            (3, 16),
            (4, 65),
            (5, 326),
            (6, 1957),
        ] {
            let stories = vec![1; calls];
            for atomic in [Atomic::Call, Atomic::Story] {
                assert_eq!(count_orders(&stories, atomic), expected);
                assert_eq!(orders(&stories, atomic).unwrap().len() as u128, expected);
            }
        }
    }

    #[test]
    fn too_many_orders_are_counted_and_not_made() {
        let error = orders(&[1; 7], Atomic::Call).unwrap_err();
        assert_eq!(error.to_string(), "13700 serial orders, more than 2000");
        assert_eq!(count_orders(&[200, 200], Atomic::Call), u128::MAX);
        assert_eq!(count_orders(&[200, 200], Atomic::Story), u128::MAX);
    }

    #[test]
    fn a_story_that_is_atomic_is_never_divided() {
        let divided = |order: &Order| {
            let actors: Vec<_> = order.0.iter().map(|call| call.actor).collect();
            actors.chunk_by(PartialEq::eq).count() > actors.iter().collect::<BTreeSet<_>>().len()
        };
        assert!(!orders(&[2, 2], Atomic::Story).unwrap().iter().any(divided));
        assert!(orders(&[2, 2], Atomic::Call).unwrap().iter().any(divided));
    }

    #[test]
    fn orders_are_as_many_as_counted_and_all_different() {
        let stories = prop::collection::vec(0_usize..4, 0..4);
        let atomic = prop_oneof![Just(Atomic::Call), Just(Atomic::Story)];
        for_all(256, &(stories, atomic), |(stories, atomic)| {
            let count = count_orders(&stories, atomic);
            prop_assume!(count <= ORDERS_LIMIT);
            let made = orders(&stories, atomic).unwrap();
            prop_assert_eq!(made.len() as u128, count);
            prop_assert_eq!(made.iter().collect::<BTreeSet<_>>().len() as u128, count);
            for Order(calls) in &made {
                prop_assert!(calls.iter().all(|call| call.position < stories[call.actor]));
                for (earlier, call) in calls.iter().enumerate() {
                    let ordered = calls[earlier + 1..]
                        .iter()
                        .all(|later| later.actor != call.actor || later.position > call.position);
                    prop_assert!(ordered);
                }
            }
            Ok(())
        });
    }

    #[test]
    fn two_stories_have_the_merges_of_their_parts() {
        let choose = |n, k| factorial(n) / factorial(k) / factorial(n - k);
        for (left, right) in (0..5_u128).flat_map(|left| (0..5).map(move |right| (left, right))) {
            let parts = (0..=left).flat_map(|i| (0..=right).map(move |j| (i, j)));
            let merges = parts.map(|(i, j)| choose(left, i) * choose(right, j) * choose(i + j, i));
            let stories = [left as usize, right as usize];
            assert_eq!(count_orders(&stories, Atomic::Call), merges.sum::<u128>());
        }
    }
}
