//! The oracle as atomicity: one call of two was broken on purpose.

use std::collections::BTreeSet;

use super::super::{Atomic, Compared, Explanation, Mask, Oracle, Order, SerialRun};
use super::explanations::{explained, nearest, oracle, shop};
use super::{
    CallIndex, Concurrent, Told, call, concurrent, gave_way, ok, rows, sold_out, table, unknown,
};

#[test]
fn a_broken_call_that_is_refused_needs_no_order_that_refuses_it() {
    let of = |rows| oracle(2).atomicity(&concurrent(&[sold_out(), ok()], rows), call(0));
    assert_eq!(explained(of(shop(1, &["B 1"]))), Order(vec![call(1)]));
    nearest(of(shop(0, &["A 1", "B 1"])));
    let innocent =
        oracle(2).atomicity(&concurrent(&[sold_out(), ok()], shop(1, &["B 1"])), call(1));
    assert!(matches!(innocent, Explanation::UnexplainedRefusal(_)));
}

#[test]
fn a_broken_call_came_or_never_came() {
    let of = |told: Told, rows| oracle(2).atomicity(&concurrent(&[told], rows), call(0));
    explained(of(ok(), shop(1, &["A 1"])));
    nearest(of(ok(), shop(2, &[])));
    explained(of(gave_way(), shop(2, &[])));
    nearest(of(gave_way(), shop(1, &["A 1"])));
    for rows in [shop(2, &[]), shop(1, &["A 1"])] {
        explained(of(unknown(), rows));
    }
    for rows in [shop(1, &[]), shop(2, &["A 1"])] {
        nearest(of(unknown(), rows));
    }
}

/// A fills a log twice, and B once: the log says in which order.
#[test]
fn a_story_that_came_whole_may_be_kept_undivided_and_one_that_was_broken_off_need_not() {
    let atomic = (Atomic::Call, Compared::Endings, Mask::default());
    let mut oracle = Oracle::new(&[2, 1], atomic.0, atomic.1, atomic.2).unwrap();
    let log = |order: &[CallIndex]| {
        let line = |(place, call): (usize, &CallIndex)| format!("{place} {}", call.actor);
        let lines: Vec<_> = order.iter().enumerate().map(line).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        rows([("log", table("place* who", &lines))])
    };
    for order in oracle.orders().to_vec() {
        let told = order.0.iter().map(|_| ok()).collect();
        let rows = log(&order.0);
        oracle.add(SerialRun { order, told, rows });
    }
    let second = CallIndex {
        actor: 0,
        position: 1,
    };
    let between = [call(0), call(1), second];
    let ran = |undivided: &[usize]| Concurrent {
        told: between.iter().map(|call| (*call, ok())).collect(),
        undivided: undivided.iter().copied().collect::<BTreeSet<_>>(),
        rows: log(&between),
    };
    explained(oracle.atomicity(&ran(&[]), call(0)));
    explained(oracle.atomicity(&ran(&[1]), call(1)));
    nearest(oracle.atomicity(&ran(&[0]), call(0)));
    let whole = Concurrent {
        rows: log(&[call(0), second, call(1)]),
        ..ran(&[0])
    };
    explained(oracle.atomicity(&whole, call(0)));
}
