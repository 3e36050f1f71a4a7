//! The oracle as atomicity: one call of two was broken on purpose.

use super::super::{Explanation, Order};
use super::explanations::{explained, nearest, oracle, shop};
use super::{Told, call, concurrent, gave_way, ok, sold_out, unknown};

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
