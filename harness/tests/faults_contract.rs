//! Faults on services that a contract describes: right ones bear them, and wrong ones are caught
//! where they are wrong, by their own serial orders.

use std::path::{Path, PathBuf};

use crate::common::{Sandbox, assert_exit, stderr, stdout};
use rowlock_testing::tool::{node_modules, python_with};

/// What a service runs on: the variable by which its contract finds it.
type Platform = (&'static str, PathBuf);

fn asyncpg() -> Option<Platform> {
    Some(("ROWLOCK_TEST_PYTHON", python_with(&["asyncpg"])?.into()))
}

fn node() -> Option<Platform> {
    Some(("NODE_PATH", node_modules()?))
}

/// Breaks a variant of a subject, and gives the report of a command that ends with `code`.
fn faults(
    (variable, platform): Platform,
    contract: &str,
    variant: &str,
    arguments: &str,
    code: i32,
) -> String {
    let sandbox = Sandbox::new();
    let contract = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/subjects")
        .join(contract);
    let mut rowlock = sandbox.rowlock(&format!("faults --postgres local {arguments}"));
    rowlock.arg("--contract").arg(&contract);
    rowlock
        .env(variable, platform)
        .env("VARIANT", variant)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let output = rowlock.output().unwrap();
    assert_exit(&output, code);
    sandbox.wait_until_clean();
    format!("{}{}", stdout(&output), stderr(&output))
}

const ACCOUNTS: &str = "accounts/rowlock.toml";
const COUNTER: &str = "counter/rowlock.toml";

#[test]
fn a_right_service_bears_every_fault_at_every_step_of_its_story() {
    let Some(platform) = asyncpg() else { return };
    let arguments = "--no-crash --program alone";
    let report = faults(platform, ACCOUNTS, "right", arguments, 0);
    assert!(report.contains("A: alice send, alone\n"), "{report}");
    assert!(report.contains("A-repeat: alice send again"), "{report}");
    let idle = "nothing under way\n  terminate-connection  ok\n";
    assert!(report.contains(idle), "{report}");
    assert!(report.contains("verdict:  valid"), "{report}");
}

#[test]
fn a_right_service_bears_faults_while_another_actor_comes() {
    let Some(platform) = asyncpg() else { return };
    let cases = [
        "A+rival.5.error-40P01",
        "A+rival.7.drop-after",
        "A+rival.7.drop-before",
        "B+rival.2.terminate-running",
        "B-repeat+rival.4.drop-after",
        "A+rival.6.client-abort",
        "A.7.crash-after-kill",
    ];
    let cases = cases.map(|case| format!("--case {case} ")).concat();
    let report = faults(platform, ACCOUNTS, "right", &cases, 0);
    assert!(report.contains("cases:    7\n"), "{report}");
}

/// Each wrong one at the step where it is wrong, again by the line that the report prints.
#[test]
fn wrong_services_are_caught_by_their_own_serial_orders() {
    let Some(platform) = asyncpg() else { return };
    for (variant, case) in [
        ("early", "A.7.drop-before"),
        ("two", "A.3.error-XX000"),
        ("keeps", "A.3.error-XX000"),
    ] {
        let arguments = format!("--case {case}");
        let report = faults(platform.clone(), ACCOUNTS, variant, &arguments, 1);
        let accused = format!("VIOLATION: {case}\n  ");
        assert!(report.contains(&accused), "{variant}: {report}");
        assert!(report.contains(" (serial-order)\n"), "{variant}: {report}");
        let again = format!("reproduce: rowlock faults --case {case} --contract ");
        assert!(report.contains(&again), "{variant}: {report}");
        assert!(
            report.contains(" --program both --seed 0x"),
            "{variant}: {report}"
        );
    }
}

#[test]
fn a_service_on_node_bears_faults_and_the_loss_of_an_idle_connection() {
    let Some(platform) = node() else { return };
    let report = faults(platform, COUNTER, "right", "--no-crash", 0);
    let idle = "nothing under way\n  terminate-connection  ok\n";
    assert!(report.contains(idle), "{report}");
    let unchecked = "left out: A-repeat: call `count` names no idempotency_key";
    assert!(report.contains(unchecked), "{report}");
}

#[test]
fn a_process_that_ends_with_its_idle_connection_has_not_survived() {
    let Some(platform) = node() else { return };
    // Another case comes after it, on a target that is started anew.
    let cases = "--case A.idle.terminate-connection --case B.1.drop-after";
    let report = faults(platform, COUNTER, "deaf", cases, 1);
    let accused = "VIOLATION: A.idle.terminate-connection\n";
    assert!(report.contains(accused), "{report}");
    let ended = "a process of the target has ended: exit status 1; it said: error: terminating \
                 connection due to administrator command";
    assert!(report.contains(ended), "{report}");
    assert!(!report.contains("VIOLATION: B.1.drop-after"), "{report}");
}

#[test]
fn what_is_sent_only_now_and_then_is_named_and_not_broken() {
    let python = python_with(&["psycopg"]);
    let Some(python) = python else { return };
    let platform = ("ROWLOCK_TEST_PYTHON", python.into());
    let report = faults(platform, "accounts/sessions.toml", "right", "--no-crash", 0);
    for step in ["deallocate all", "select count(*) from account"] {
        let named = format!("left out: a step of A that comes only now and then: {step}\n");
        assert!(report.contains(&named), "{report}");
    }
    assert!(report.contains("verdict:  valid"), "{report}");
}

#[test]
fn a_case_that_is_none_is_refused_before_anything_starts() {
    let Some(platform) = node() else { return };
    let report = faults(platform, COUNTER, "right", "--case alice.1.stall", 2);
    assert!(report.contains("no actor's letter, as A or B"), "{report}");
}

/// Both baskets are filled before either is checked out: nobody's story may be divided so.
#[test]
fn a_story_that_is_whole_in_spite_of_its_fault_is_held_to_be_undivided() {
    let Some(platform) = node() else { return };
    let case = "--case A+rival.3.stall";
    let orders = "orders/rowlock.toml";
    let report = faults(platform.clone(), orders, "between", case, 1);
    assert!(report.contains("VIOLATION: A+rival.3.stall"), "{report}");
    let order = "A's basket then A's checkout then B's basket then B's checkout";
    assert!(report.contains(order), "{report}");
    faults(platform, orders, "right", case, 0);
}
