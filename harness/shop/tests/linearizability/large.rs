//! Ten thousand buyers and more tangled crowds: too many for the definition, judged all the same.

use std::cell::Cell;

use proptest::prelude::*;
use rowlock_shop::linearizability::{Budget, Conclusion, Fact, Recording, check};
use rowlock_testing::seed::for_all;

use crate::brute_force::confirms;
use crate::random;
use crate::sale::{one_by_one, oversold, refused_too_early, sale};

fn assert_linearizable(recording: &Recording) {
    match check(recording, Budget::default()) {
        Conclusion::Linearizable(order) => assert!(confirms(recording, &order)),
        conclusion => panic!("{conclusion:?}"),
    }
}

#[test]
fn a_sale_to_ten_thousand_is_linearizable() {
    for stock in [1, 1_000, 20_000] {
        assert_linearizable(&sale(10_000, stock, 0));
    }
}

#[test]
fn a_sale_one_by_one_is_linearizable() {
    assert_linearizable(&one_by_one(sale(10_000, 1_000, 0)));
}

#[test]
fn a_sale_with_lost_answers_is_linearizable_with_final_rows_and_without() {
    let mut recording = sale(10_000, 1_000, 100);
    assert_linearizable(&recording);
    recording.last = Default::default();
    assert_linearizable(&recording);
}

#[test]
fn one_refused_too_early_among_ten_thousand_is_named() {
    let recording = refused_too_early(sale(10_000, 1_000, 0));
    let Conclusion::Contradicted(contradiction) = check(&recording, Budget::default()) else {
        panic!("accepted");
    };
    let refused = recording
        .operations
        .iter()
        .position(|operation| operation.completed_ns == 40);
    assert_eq!(contradiction.facts, [Fact::Operation(refused.unwrap())]);
    assert!(contradiction.is_smallest);
}

#[test]
fn one_unit_too_many_among_ten_thousand_is_counted() {
    let recording = oversold(sale(10_000, 1_000, 0));
    let Conclusion::Contradicted(contradiction) = check(&recording, Budget::default()) else {
        panic!("accepted");
    };
    assert_eq!(contradiction.facts.len(), 1_001);
    let reason = "item 1 had a stock of 1000, and 1001 purchases of it are acknowledged";
    assert_eq!(contradiction.reason, reason);
}

/// Of these crowds hardly one in hundreds is too tangled to be decided within the budget.
const CROWDS: u32 = 60;
const MOST_UNDECIDED: u32 = 3;

#[test]
fn a_true_history_of_hundreds_is_never_accused_and_seldom_left_undecided() {
    let undecided = Cell::new(0);
    let judge = |recording: Recording| {
        match check(&recording, Budget::default()) {
            Conclusion::Linearizable(order) => prop_assert!(confirms(&recording, &order)),
            Conclusion::Inconclusive => undecided.set(undecided.get() + 1),
            Conclusion::Contradicted(contradiction) => prop_assert!(false, "{contradiction:?}"),
        }
        Ok(())
    };
    for_all(CROWDS, &random::crowds(400), judge);
    println!("{} undecided", undecided.get());
    assert!(undecided.get() <= MOST_UNDECIDED, "{}", undecided.get());
}

#[test]
fn a_lie_among_hundreds_is_seldom_left_undecided() {
    let (wrong, undecided) = (Cell::new(0), Cell::new(0));
    let judge = |recording: Recording| {
        match check(&recording, Budget::default()) {
            Conclusion::Linearizable(order) => prop_assert!(confirms(&recording, &order)),
            Conclusion::Inconclusive => undecided.set(undecided.get() + 1),
            Conclusion::Contradicted(_) => wrong.set(wrong.get() + 1),
        }
        Ok(())
    };
    for_all(CROWDS, &random::spoilt_crowds(150), judge);
    println!(
        "{} not linearizable, {} undecided",
        wrong.get(),
        undecided.get()
    );
    assert!(wrong.get() >= 3, "{} wrong ones", wrong.get());
    assert!(undecided.get() <= MOST_UNDECIDED, "{}", undecided.get());
}
