//! Answers against what was expected, on plain values.

use rowlock_core::finding::Outcome;
use rowlock_shop::history::{Receipt, Request};

use super::*;

fn answered(completion: Completion) -> Operation {
    Operation {
        request: Request::new(1, 1),
        intended_ns: 0,
        invoked_ns: 0,
        completed_ns: 1,
        status: None,
        completion,
    }
}

fn ok() -> Operation {
    answered(Completion::Ok(Receipt::default()))
}

fn refused(refusal: Refusal) -> Operation {
    answered(Completion::Fail(refusal))
}

fn silent() -> Operation {
    refused(Refusal::Unstated("400 without a code".into()))
}

fn complaint(finding: Finding) -> Option<String> {
    match finding.outcome {
        Outcome::Holds => None,
        Outcome::Violated(places) => Some(places.join("; ")),
        other => panic!("{other:?}"),
    }
}

/// What is said of these answers where one sale and two refusals are expected.
fn counted(history: &[Operation]) -> Option<String> {
    let expected = Expected::from([(Answer::Ok, 1), (Answer::OutOfStock, 2)]);
    complaint(judge_counts(&[("a rush".into(), &expected, history)]))
}

fn in_turn(expected: &[Answer], history: &[Operation]) -> Option<String> {
    complaint(judge_sequences(&[("a queue".into(), expected, history)]))
}

#[test]
fn as_many_of_each_answer_as_expected_are_right_and_one_more_or_less_is_not() {
    let sold_out = || refused(Refusal::OutOfStock);
    assert_eq!(counted(&[sold_out(), ok(), sold_out()]), None);
    assert_eq!(
        counted(&[ok(), ok(), sold_out()]).as_deref(),
        Some("a rush: expected 1 ok + 2 out_of_stock, got 2 ok + 1 out_of_stock")
    );
    assert!(counted(&[sold_out(), sold_out(), sold_out()]).is_some());
    assert!(counted(&[ok(), sold_out()]).is_some());
    assert!(counted(&[ok(), sold_out(), refused(Refusal::InsufficientBalance)]).is_some());
    assert!(counted(&[ok(), sold_out(), refused(Refusal::Busy)]).is_some());
    assert!(counted(&[ok(), sold_out(), refused(Refusal::Conflict)]).is_some());
}

#[test]
fn a_refusal_without_a_reason_may_be_any_that_is_expected_and_no_sale() {
    let sold_out = || refused(Refusal::OutOfStock);
    assert_eq!(counted(&[ok(), silent(), silent()]), None);
    assert_eq!(counted(&[ok(), silent(), sold_out()]), None);
    assert_eq!(
        counted(&[silent(), silent(), silent()]).as_deref(),
        Some("a rush: expected 1 ok + 2 out_of_stock, got 3 refused (400 without a code)")
    );
    assert!(counted(&[ok(), ok(), silent()]).is_some());
    assert!(counted(&[silent(), sold_out(), sold_out()]).is_some());
    let missing = refused(Refusal::Other("404 not_found".into()));
    assert!(counted(&[ok(), silent(), missing]).is_some());
}

#[test]
fn answers_in_turn_are_held_to_their_order() {
    let expected = [Answer::Ok, Answer::InsufficientBalance];
    let poor = || refused(Refusal::InsufficientBalance);
    assert_eq!(in_turn(&expected, &[ok(), poor()]), None);
    assert_eq!(in_turn(&expected, &[ok(), silent()]), None);
    assert_eq!(
        in_turn(&expected, &[silent(), ok()]).as_deref(),
        Some("a queue: expected ok, insufficient_balance, got refused (400 without a code), ok")
    );
    assert!(in_turn(&expected, &[ok()]).is_some());
    assert!(in_turn(&expected, &[ok(), refused(Refusal::UnknownUser)]).is_some());
}
