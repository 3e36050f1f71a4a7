//! Two buyers, A and B, and an item of which there are some.

use super::super::{Atomic, Compared, Explanation, Mask, Nearest, Oracle, Order, Presence};
use super::{
    Told, call, concurrent, gave_way, name, ok, rows, serial_run, sold_out, table, told, unknown,
};
use crate::answer::{Ending, Unknown};
use crate::rows::Rows;

/// An item's stock, and who holds one.
pub(super) fn shop(stock: i32, buyers: &[&str]) -> Rows {
    rows([
        ("item", table("id* stock", &[&format!("1 {stock}")])),
        ("sale", table("buyer* item", buyers)),
    ])
}

/// All orders of two purchases of an item with `stock` units that costs nothing.
pub(super) fn oracle(stock: i32) -> Oracle {
    let mut oracle =
        Oracle::new(&[1, 1], Atomic::Call, Compared::Endings, Mask::default()).unwrap();
    for actors in [vec![], vec![0], vec![1], vec![0, 1], vec![1, 0]] {
        let (mut left, mut buyers, mut answers) = (stock, Vec::new(), Vec::new());
        for actor in &actors {
            let buyer = ["A 1", "B 1"][*actor];
            answers.push(if left > 0 { ok() } else { sold_out() });
            if left > 0 {
                left -= 1;
                buyers.push(buyer);
            }
        }
        oracle.add(serial_run(&actors, &answers, shop(left, &buyers)));
    }
    oracle
}

pub(super) fn explained(explanation: Explanation) -> Order {
    match explanation {
        Explanation::Explained(explained) => explained.order,
        other => panic!("{other:?}"),
    }
}

pub(super) fn nearest(explanation: Explanation) -> Nearest {
    match explanation {
        Explanation::Unexplained(nearest) => nearest,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_run_with_the_rows_and_answers_of_an_order_is_explained_by_it() {
    let run = concurrent(&[sold_out(), ok()], shop(0, &["B 1"]));
    assert_eq!(
        explained(oracle(1).explain(&run)),
        Order(vec![call(1), call(0)])
    );
}

#[test]
fn a_lost_update_is_compared_with_the_nearest_order() {
    let run = concurrent(&[ok(), ok()], shop(4, &["A 1", "B 1"]));
    let nearest = nearest(oracle(5).explain(&run));
    assert_eq!(
        nearest.sentence(&run, name),
        "A then B leaves item 1 stock = 3; this run left 4, and both were told 200"
    );
}

#[test]
fn an_oversold_unit_shows_the_row_too_many_and_the_answer() {
    let run = concurrent(&[ok(), ok()], shop(0, &["A 1", "B 1"]));
    let nearest = nearest(oracle(1).explain(&run));
    assert_eq!(nearest.rows[0].presence, Presence::Extra);
    assert_eq!(nearest.distance(), 3);
    assert_eq!(
        nearest.sentence(&run, name),
        "A then B does not leave sale (buyer = B, item = 1), which this run did; the order tells B \
         \"422: sold out\"; this run told it \"200\", and both were told 200"
    );
}

#[test]
fn a_call_that_gave_way_may_be_left_out_and_one_that_was_served_may_not() {
    let rows = shop(1, &["A 1"]);
    let run = concurrent(&[ok(), gave_way()], rows.clone());
    let Explanation::Explained(explained) = oracle(2).explain(&run) else {
        panic!("A alone explains it");
    };
    assert_eq!(explained.order, Order(vec![call(0)]));
    assert_eq!(
        (explained.left_out, explained.needlessly_gave_way),
        (vec![call(1)], 1)
    );
    nearest(oracle(2).explain(&concurrent(&[ok(), ok()], rows)));
}

#[test]
fn a_call_that_gave_way_where_it_would_be_refused_did_so_for_good() {
    let run = concurrent(&[ok(), gave_way()], shop(0, &["A 1"]));
    let Explanation::Explained(explained) = oracle(1).explain(&run) else {
        panic!("A alone explains it");
    };
    assert_eq!(explained.needlessly_gave_way, 0);
}

#[test]
fn a_call_that_gave_way_has_done_nothing() {
    let run = concurrent(&[ok(), gave_way()], shop(0, &["A 1", "B 1"]));
    nearest(oracle(2).explain(&run));
}

#[test]
fn a_call_of_unknown_outcome_came_or_did_not_and_nothing_between() {
    let of = |stock, buyers: &[&str]| {
        oracle(2).explain(&concurrent(&[ok(), unknown()], shop(stock, buyers)))
    };
    assert_eq!(explained(of(1, &["A 1"])).0.len(), 1);
    assert_eq!(explained(of(0, &["A 1", "B 1"])).0.len(), 2);
    nearest(of(0, &["A 1"]));
}

#[test]
fn a_call_that_was_never_made_is_in_no_order() {
    let made = |rows| {
        let mut run = concurrent(&[ok(), ok()], rows);
        run.told.remove(&call(1));
        run
    };
    let run = made(shop(1, &["A 1"]));
    assert_eq!(explained(oracle(2).explain(&run)), Order(vec![call(0)]));
    nearest(oracle(2).explain(&made(shop(0, &["A 1", "B 1"]))));
}

#[test]
fn sold_out_with_stock_left_is_a_refusal_that_no_order_explains() {
    let run = concurrent(&[ok(), sold_out()], shop(1, &["A 1"]));
    let Explanation::UnexplainedRefusal(refusal) = oracle(2).explain(&run) else {
        panic!("each order serves both");
    };
    assert_eq!(
        refusal.sentence(name, "{ status = 422, means = \"conflict\" }"),
        "B was told \"422: sold out\", which no serial order tells (they tell it \"200\"); the rows \
         are those of A alone. If the service gives way by design, the contract says so: \
         { status = 422, means = \"conflict\" }"
    );
    let run = concurrent(&[ok(), sold_out()], shop(0, &["A 1"]));
    assert_eq!(explained(oracle(1).explain(&run)).0.len(), 2);
}

#[test]
fn a_refusal_that_left_something_is_no_mere_refusal() {
    let run = concurrent(&[ok(), sold_out()], shop(0, &["A 1"]));
    nearest(oracle(2).explain(&run));
}

#[test]
fn reasons_count_where_both_name_one() {
    let refused = |reason| told(Ending::Refused, reason, "422");
    let of = |reason| oracle(1).explain(&concurrent(&[ok(), refused(reason)], shop(0, &["A 1"])));
    explained(of(None));
    explained(of(Some("sold out")));
    assert!(matches!(
        of(Some("too poor")),
        Explanation::UnexplainedRefusal(_)
    ));
}

fn with_body(body: &str) -> Told {
    Told {
        body: Some(body.into()),
        ..ok()
    }
}

/// One call that is told how many units are left.
fn talkative(compared: Compared) -> Oracle {
    let mut oracle = Oracle::new(&[1], Atomic::Call, compared, Mask::default()).unwrap();
    oracle.add(serial_run(&[], &[], shop(1, &[])));
    oracle.add(serial_run(&[0], &[with_body("0 left")], shop(0, &["A 1"])));
    oracle
}

#[test]
fn bodies_are_named_beside_and_count_where_the_contract_says_so() {
    let run = |body| concurrent(&[with_body(body)], shop(0, &["A 1"]));
    let beside = |body| match talkative(Compared::Endings).explain(&run(body)) {
        Explanation::Explained(explained) => explained.other_bodies,
        other => panic!("{other:?}"),
    };
    assert_eq!(beside("0 left"), []);
    assert_eq!(beside("1 left"), [call(0)]);
    explained(talkative(Compared::Bodies).explain(&run("0 left")));
    nearest(talkative(Compared::Bodies).explain(&run("1 left")));
}

#[test]
fn a_body_that_is_another_when_repeated_is_not_compared() {
    let mut oracle = talkative(Compared::Bodies);
    oracle
        .repeat(serial_run(&[0], &[with_body("token")], shop(0, &["A 1"])))
        .unwrap();
    explained(oracle.explain(&concurrent(&[with_body("1 left")], shop(0, &["A 1"]))));
}

#[test]
fn a_serial_server_error_is_no_success_and_a_serial_silence_is_anything() {
    let of = |why, run: Told| {
        let mut oracle =
            Oracle::new(&[1], Atomic::Call, Compared::Endings, Mask::default()).unwrap();
        oracle.add(serial_run(&[], &[], shop(1, &[])));
        let failed = told(Ending::Unknown(why), None, "500");
        oracle.add(serial_run(&[0], &[failed], shop(1, &[])));
        oracle.explain(&concurrent(&[run], shop(1, &[])))
    };
    nearest(of(Unknown::ServerError, ok()));
    explained(of(Unknown::ServerError, sold_out()));
    explained(of(Unknown::TimedOut, ok()));
}

#[test]
fn the_nearest_of_equally_near_orders_is_always_the_same() {
    let run = concurrent(&[unknown(), unknown()], shop(9, &[]));
    let near = nearest(oracle(2).explain(&run));
    assert_eq!((near.order.0.len(), near.distance()), (0, 1));
    assert_eq!(
        near.sentence(&run, name),
        "no call at all leaves item 1 stock = 2; this run left 9, and both were told no answer"
    );
}

#[test]
fn rows_without_a_key_are_the_same_row_where_they_have_a_cell_in_common() {
    let log = |row| rows([("\"log\"", table("who amount", &[row]))]);
    let of = |row| {
        let mut oracle =
            Oracle::new(&[1], Atomic::Call, Compared::Endings, Mask::default()).unwrap();
        oracle.add(serial_run(&[0], &[ok()], log("A 5")));
        let run = concurrent(&[ok()], log(row));
        nearest(oracle.explain(&run)).sentence(&run, name)
    };
    assert_eq!(
        of("A 7"),
        "A alone leaves log (who = A) amount = 5; this run left 7, and A was told 200"
    );
    assert_eq!(
        of("B 7"),
        "A alone leaves log (who = A, amount = 5), which this run did not; the order does not leave \
         log (who = B, amount = 7), which this run did, and A was told 200"
    );
}
