//! The checker against the definition, on thousands of small random histories.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

mod brute_force;
mod directed;
mod large;
mod random;
mod sale;
mod short_cuts;

use std::cell::Cell;

use proptest::prelude::*;
use rowlock_shop::linearizability::{Budget, Conclusion, Contradiction, Fact, Recording, check};
use rowlock_testing::seed::for_all;

#[test]
fn it_decides_as_the_definition_does() {
    assert_decides(60_000, &random::recordings(6));
}

#[test]
fn it_decides_as_the_definition_does_where_buyers_could_trade_places() {
    assert_decides(60_000, &random::rivals(8));
}

/// Judges `cases` histories, of which a fifth at least must be right, and a fifth wrong.
fn assert_decides(cases: u32, recordings: &impl Strategy<Value = Recording>) {
    let (right, wrong) = (Cell::new(0), Cell::new(0));
    let decided = |recording: Recording| {
        let expected = brute_force::is_linearizable(&recording);
        let count = if expected { &right } else { &wrong };
        count.set(count.get() + 1);
        match check(&recording, Budget::default()) {
            Conclusion::Linearizable(order) => {
                prop_assert!(expected, "accepted in the order {order:?}");
                prop_assert!(brute_force::confirms(&recording, &order), "{order:?}");
            }
            Conclusion::Contradicted(contradiction) => {
                prop_assert!(!expected, "{contradiction:?}");
            }
            Conclusion::Inconclusive => prop_assert!(false, "gave up"),
        }
        Ok(())
    };
    for_all(cases, recordings, decided);
    println!("{} linearizable, {} not", right.get(), wrong.get());
    // Shrinking does not come here, so the counts are those of the cases.
    assert!(right.get() > cases / 5, "{} right ones", right.get());
    assert!(wrong.get() > cases / 5, "{} wrong ones", wrong.get());
}

#[test]
fn a_contradiction_contradicts_itself_and_is_the_smallest() {
    let found = Cell::new(0);
    let shrunk = |recording: Recording| {
        let Conclusion::Contradicted(contradiction) = check(&recording, Budget::default()) else {
            return Ok(());
        };
        found.set(found.get() + 1);
        let Contradiction {
            facts, is_smallest, ..
        } = &contradiction;
        let reduced = brute_force::reduce(&recording, facts);
        prop_assert!(!brute_force::is_linearizable(&reduced), "{contradiction:?}");
        prop_assert!(is_smallest, "{contradiction:?}");
        for spared in facts {
            let rest: Vec<Fact> = facts
                .iter()
                .copied()
                .filter(|fact| fact != spared)
                .collect();
            let reduced = brute_force::reduce(&recording, &rest);
            prop_assert!(
                brute_force::is_linearizable(&reduced),
                "{contradiction:?} needs no {spared:?}"
            );
        }
        Ok(())
    };
    for_all(4_000, &random::recordings(5), shrunk);
    println!("{} contradictions", found.get());
    assert!(found.get() > 600, "{} contradictions", found.get());
}
