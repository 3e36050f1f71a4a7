//! Which orders are asked for, and when.

use super::super::{Atomic, Compared, Explanation, Mask, Oracle, Order};
use super::explanations::{nearest, oracle, shop};
use super::{call, concurrent, ok, serial_run};

#[test]
fn nothing_is_accused_before_each_order_that_could_explain_it_is_known() {
    let empty = || Oracle::new(&[1, 1], Atomic::Call, Compared::Endings, Mask::default()).unwrap();
    let run = concurrent(&[ok(), ok()], shop(1, &["A 1", "B 1"]));
    let both = vec![Order(vec![call(0), call(1)]), Order(vec![call(1), call(0)])];
    assert_eq!(empty().explain(&run), Explanation::Missing(both));
    let complete = oracle(2);
    let mut oracle = empty();
    while let Explanation::Missing(missing) = oracle.explain(&run) {
        for order in missing {
            oracle.add(complete.run(&order).unwrap().clone());
        }
    }
    assert_eq!(oracle.explain(&run), complete.explain(&run));
}

#[test]
fn an_order_that_cannot_be_run_explains_nothing_and_is_not_asked_for_again() {
    let run = concurrent(&[ok()], shop(2, &["A 1"]));
    let mut oracle = Oracle::new(&[1], Atomic::Call, Compared::Endings, Mask::default()).unwrap();
    let alone = Order(vec![call(0)]);
    assert_eq!(
        oracle.explain(&run),
        Explanation::Missing(vec![alone.clone()])
    );
    oracle.rule_out(alone);
    let nothing = Order::default();
    assert_eq!(
        oracle.explain(&run),
        Explanation::Missing(vec![nothing.clone()])
    );
    oracle.add(serial_run(&[], &[], shop(2, &[])));
    assert_eq!(nearest(oracle.explain(&run)).order, nothing);
}

#[test]
fn orders_that_could_explain_a_run_are_to_be_repeated_once() {
    let run = concurrent(&[ok(), ok()], shop(4, &["A 1", "B 1"]));
    let mut oracle = oracle(5);
    let unrepeated = oracle.unrepeated(&run);
    assert_eq!(unrepeated.len(), 2);
    for order in unrepeated {
        let again = oracle.run(&order).unwrap().clone();
        oracle.repeat(again).unwrap();
    }
    assert!(oracle.unrepeated(&run).is_empty());
}
