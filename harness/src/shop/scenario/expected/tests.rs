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
    counted_of(history, OnConflict::TriesAgain)
}

fn counted_of(history: &[Operation], on_conflict: OnConflict) -> Option<String> {
    let expected = Expected::from([(Answer::Ok, 1), (Answer::OutOfStock, 2)]);
    let rush = ("a rush".into(), &expected, history);
    complaint(judge_counts(&[rush], on_conflict))
}

fn in_turn(expected: &[Answer], history: &[Operation]) -> Option<String> {
    in_turn_of(expected, history, OnConflict::TriesAgain)
}

fn in_turn_of(
    expected: &[Answer],
    history: &[Operation],
    on_conflict: OnConflict,
) -> Option<String> {
    let queue = ("a queue".into(), expected, history);
    complaint(judge_sequences(&[queue], on_conflict))
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

#[test]
fn where_some_gave_way_counts_are_bounds_and_a_refusal_says_that_all_was_sold() {
    let of = |history: &[Operation]| counted_of(history, OnConflict::GivesWay);
    let sold_out = || refused(Refusal::OutOfStock);
    let gave_way = || refused(Refusal::Conflict);
    assert_eq!(of(&[ok(), gave_way(), sold_out()]), None);
    assert_eq!(of(&[ok(), gave_way(), gave_way()]), None);
    assert_eq!(of(&[gave_way(), gave_way(), gave_way()]), None);
    assert_eq!(of(&[ok(), gave_way(), silent()]), None);
    assert_eq!(
        of(&[gave_way(), sold_out(), sold_out()]).as_deref(),
        Some(
            "a rush: expected 1 ok + 2 out_of_stock, got 2 out_of_stock + 1 conflict: refused \
             although not all was sold that could be"
        )
    );
    assert!(of(&[gave_way(), silent(), gave_way()]).is_some());
    assert!(of(&[ok(), ok(), gave_way()]).is_some());
    assert!(of(&[ok(), gave_way(), refused(Refusal::Busy)]).is_some());
    assert!(of(&[ok(), gave_way()]).is_some());
    assert_eq!(of(&[ok(), sold_out(), sold_out()]), None);
}

#[test]
fn who_promises_to_try_again_is_held_to_the_exact_counts() {
    let history = [
        ok(),
        refused(Refusal::Conflict),
        refused(Refusal::OutOfStock),
    ];
    assert_eq!(
        counted(&history).as_deref(),
        Some("a rush: expected 1 ok + 2 out_of_stock, got 1 ok + 1 out_of_stock + 1 conflict")
    );
}

#[test]
fn repeats_of_a_key_are_acknowledged_without_a_sale_of_their_own() {
    let keyed = |mut operation: Operation| {
        operation.request.key = Some("k".into());
        operation
    };
    let gave_way = || keyed(refused(Refusal::Conflict));
    let expected = Expected::from([(Answer::Ok, 2), (Answer::OutOfStock, 2)]);
    let sold_out = keyed(refused(Refusal::OutOfStock));
    let history = [keyed(ok()), gave_way(), sold_out, gave_way()];
    let rush = ("a rush".into(), &expected, &history[..]);
    let finding = judge_counts(&[rush], OnConflict::GivesWay);
    assert_eq!(complaint(finding), None);
}

#[test]
fn alone_a_409_is_a_refusal_and_never_instead_of_a_sale() {
    let expected = [Answer::Ok, Answer::OutOfStock];
    let gave_way = || refused(Refusal::Conflict);
    let of = |history: &[Operation], on_conflict| in_turn_of(&expected, history, on_conflict);
    assert_eq!(of(&[ok(), gave_way()], OnConflict::GivesWay), None);
    assert!(of(&[gave_way(), gave_way()], OnConflict::GivesWay).is_some());
    assert!(of(&[ok(), gave_way()], OnConflict::TriesAgain).is_some());
}
