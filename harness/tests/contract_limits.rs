//! Limits that services bring: a wait that the harness made long accuses nobody.

use crate::common::{Sandbox, assert_exit, stdout};
use crate::subject_support::{LIMITS, PATIENCE};

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

/// Explores a service on Node in a variant, with limits that `variables` set; the command ends with
/// `code`.
fn explore(
    variant: &'static str,
    variables: &[(&str, &str)],
    program: &str,
    code: i32,
) -> Option<String> {
    let sandbox = Sandbox::new();
    let witnesses = tempfile::tempdir().unwrap();
    let directory = witnesses.path().to_str().unwrap();
    let arguments = ["explore", program, "--witness-dir", directory];
    let subject = PATIENCE.variant(variant);
    let output = subject.rowlock_with(&sandbox, variables, &arguments)?;
    assert_exit(&output, code);
    sandbox.wait_until_clean();
    Some(stdout(&output))
}

#[test]
fn limits_of_a_driver_and_of_its_sessions_are_named_and_not_accused() {
    for (limit, said) in [
        ("pool", "B gave up after"),
        (
            "lock",
            "\"canceling statement due to lock timeout\" (55P03)",
        ),
        (
            "statement",
            "\"canceling statement due to statement timeout\" (57014)",
        ),
        ("idle", "was closed"),
    ] {
        let Some(report) = explore("right", &[("LIMIT", limit)], "takes", 4) else {
            return;
        };
        let named = "own-limits: the harness held steps longer than the service waits: ";
        assert!(report.contains(named), "{limit}: {report}");
        assert!(report.contains(said), "{limit}: {report}");
        assert!(!report.contains("violated by"), "{limit}: {report}");
    }
}

#[test]
fn a_login_that_expires_while_schedules_are_run_is_named_and_not_accused() {
    let limits = [("LIMIT", "login"), ("LIFE_MS", "3500"), ("KEEPS_MS", "200")];
    if let Some(report) = explore("right", &limits, "takes", 4) {
        assert!(report.contains("does a login expire?"), "{report}");
        assert!(!report.contains("violated by"), "{report}");
    }
}

#[test]
fn what_races_behind_such_limits_is_found_all_the_same() {
    for limit in ["pool-of-four", "idle", "login"] {
        let limits = [("LIMIT", limit), ("KEEPS_MS", "0")];
        let Some(report) = explore("wrong", &limits, "takes", 1) else {
            return;
        };
        assert!(report.contains("\nVIOLATION\n"), "{limit}: {report}");
    }
}
