//! The explorer on services in another language, in several processes, unchanged.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Sandbox, assert_exit, stdout};

/// The interpreter that has psycopg, or `None` with the reason on standard output.
fn python() -> Option<String> {
    let python = std::env::var("ROWLOCK_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let imports = Command::new(&python)
        .args(["-c", "import psycopg"])
        .output();
    if imports.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    println!("skipped: {python} has no psycopg");
    None
}

const TWO_PROCESSES: [&str; 2] = ["WORKERS=2", "POOL_SIZE=4"];

/// Explores a shop in Python, in as many processes with as many connections each as `size` says.
fn explore(shop: &str, buyers: usize, size: [&str; 2], code: i32) -> Option<String> {
    let python = python()?;
    let sandbox = Sandbox::new();
    let shop = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/targets")
        .join(shop);
    let shop = shop.to_str().unwrap();
    let [workers, pool] = size;
    let service = shlex::try_join(["env", workers, pool, &python, shop]).unwrap();
    let arguments = format!("explore one-item --postgres local --buyers {buyers}");
    // Of its own: what a violation writes down is no remains of the command.
    let witnesses = tempfile::tempdir().unwrap();
    let mut rowlock = sandbox.rowlock(&arguments);
    rowlock.args(["--service-cmd", &service]);
    rowlock.arg("--witness-dir").arg(witnesses.path());
    let output = rowlock.output().unwrap();
    assert_exit(&output, code);
    sandbox.wait_until_clean();
    Some(stdout(&output))
}

#[test]
fn a_violation_of_a_target_that_never_starts_again_is_shown_and_written_all_the_same() {
    let Some(python) = python() else { return };
    let sandbox = Sandbox::new();
    let directory = tempfile::tempdir().unwrap();
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/targets/shop_unlocked.py");
    // Shrinking starts the target once more.
    let once = format!(
        "mkdir {}/started && exec {python} {}",
        directory.path().display(),
        shop.display()
    );
    let service = shlex::try_join(["sh", "-c", &once]).unwrap();
    let mut rowlock = sandbox.rowlock("explore one-item --postgres local --workers 1");
    rowlock.args(["--service-cmd", &service]);
    rowlock.arg("--witness-dir").arg(directory.path());
    let output = rowlock.output().unwrap();
    assert_exit(&output, 1);
    let report = stdout(&output);
    assert!(report.contains("neither held the row"), "{report}");
    for word in [
        "shrunk:   not: ",
        "replayed: not: ",
        "replay:   rowlock replay ",
    ] {
        assert!(report.contains(word), "{word}: {report}");
    }
    sandbox.wait_until_clean();
}

#[test]
fn a_right_shop_in_python_is_valid_in_every_interleaving() {
    if let Some(report) = explore("shop_right.py", 2, TWO_PROCESSES, 0) {
        assert!(report.contains("valid\n  8 schedules"), "{report}");
    }
}

#[test]
fn a_read_without_a_lock_in_python_is_found() {
    if let Some(report) = explore("shop_unlocked.py", 2, TWO_PROCESSES, 1) {
        assert!(report.contains("stock-gone-is-purchases"), "{report}");
    }
}

#[test]
fn a_value_read_before_its_lock_in_python_is_found_among_three_buyers() {
    if let Some(report) = explore("shop_stale.py", 3, TWO_PROCESSES, 1) {
        assert!(report.contains("stock-gone-is-purchases"), "{report}");
    }
}

#[test]
fn a_pool_of_one_connection_is_waited_for_inside_the_application() {
    if let Some(report) = explore("shop_right.py", 3, ["WORKERS=1", "POOL_SIZE=1"], 0) {
        assert!(report.contains("waited inside the application"), "{report}");
    }
}
