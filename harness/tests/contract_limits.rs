//! Limits that services bring: a wait that the harness made long accuses nobody.

use crate::subject_support::LIMITS;

#[test]
fn a_pool_that_gives_up_while_a_step_is_held_is_named_and_not_accused() {
    if let Some(report) = LIMITS.variant("pool").explore(&[], 4) {
        let said =
            "own-limits: the harness held steps longer than the service waits: B gave up after";
        assert!(report.contains(said), "{report}");
        assert!(!report.contains("violated by"), "{report}");
    }
}

#[test]
fn a_lock_timeout_while_others_are_held_is_named_and_not_accused() {
    if let Some(report) = LIMITS.variant("lock").explore(&[], 4) {
        assert!(
            report.contains("canceling statement due to lock timeout"),
            "{report}"
        );
        assert!(report.contains("(55P03)"), "{report}");
        assert!(!report.contains("violated by"), "{report}");
    }
}

#[test]
fn a_race_is_found_all_the_same() {
    if let Some(report) = LIMITS.variant("wrong").explore(&[], 1) {
        assert!(report.contains("\nVIOLATION\n"), "{report}");
    }
}
