//! The explorer on services of other shapes than the shop's, each described by a contract.
//!
//! They are in `subjects/`, each right in one variant and wrong in others.

use std::fs;

use crate::subject_support::{COUPONS, ORDERS, SEATS, TRANSFERS};

#[test]
fn seats_that_are_locked_are_valid_in_every_interleaving() {
    SEATS.is_valid(&[]);
    SEATS.is_valid(&["neighbours"]);
}

#[test]
fn a_seat_that_two_take_is_found() {
    SEATS
        .variant("wrong")
        .is_violated("actor A and actor B both read taken_by = null, and neither held the row");
}

#[test]
fn transfers_in_two_processes_that_lock_both_accounts_are_valid_in_every_interleaving() {
    TRANSFERS.is_valid(&[]);
}

#[test]
fn a_balance_that_is_saved_as_it_was_read_is_found() {
    TRANSFERS
        .variant("wrong")
        .is_violated("money is kept: after == before");
}

/// It makes its schema itself, with UUIDs for keys and times of its own.
#[test]
fn coupons_that_are_locked_are_valid_in_every_interleaving() {
    COUPONS.is_valid(&[]);
    COUPONS.is_valid(&["plenty"]);
}

#[test]
fn a_coupon_that_is_redeemed_once_too_often_is_found() {
    COUPONS
        .variant("wrong")
        .is_violated("A then B does not leave redemption");
}

/// The lines of an order refer to it by an id that a sequence makes.
#[test]
fn orders_through_two_requests_are_valid_in_every_interleaving() {
    ORDERS.is_valid(&[]);
}

#[test]
fn a_race_of_two_checkouts_is_found() {
    ORDERS.variant("wrong").is_violated("product ink stock = 0");
}

#[test]
fn a_race_between_two_requests_of_one_story_is_found() {
    ORDERS
        .variant("between")
        .is_violated("product ink stock = 0");
}

#[test]
fn contracts_of_one_call_are_short() {
    for subject in [SEATS, TRANSFERS, COUPONS] {
        let text = fs::read_to_string(subject.directory().join("rowlock.toml")).unwrap();
        let lines = text.lines().count();
        assert!(lines <= 25, "{}: {lines} lines", subject.name);
    }
}

#[test]
fn what_a_service_remembers_outside_its_database_is_no_violation_and_is_said() {
    if let Some(report) = COUPONS.variant("memory").explore(&[], 4) {
        let said = "the service remembers something outside its database";
        assert!(report.contains(said), "{report}");
    }
}
