//! Programs that nobody wrote: drawn from a seed, explored, shrunk with their rows.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

mod common;

use common::{Sandbox, assert_exit, stdout};

/// Explores generated programs, and gives the report without times.
fn generate(arguments: &str, code: i32) -> String {
    let sandbox = Sandbox::new();
    let witnesses = tempfile::tempdir().unwrap();
    let mut rowlock = sandbox.rowlock(&format!("explore --postgres local {arguments}"));
    rowlock.arg("--witness-dir").arg(witnesses.path());
    let output = rowlock.output().unwrap();
    assert_exit(&output, code);
    sandbox.wait_until_clean();
    stdout(&output)
}

#[test]
fn a_generated_program_finds_a_race_and_is_shrunk_with_its_rows() {
    let report = generate(
        "--generate=20 --seed 0x1 --mutant unlocked-absolute-write",
        1,
    );
    assert!(report.contains(" 1 violated, "), "{report}");
    assert!(
        report.contains("replayed: once, violated again"),
        "{report}"
    );
    assert!(
        report.contains("seed 0x0000000000000001; again: "),
        "{report}"
    );
    // A user alone, or two: whoever else was drawn has been left out.
    assert!(!report.contains("C: user"), "{report}");
}

#[test]
fn the_service_is_right_in_programs_that_nobody_wrote() {
    let report = generate("--generate=4 --seed 0x2 --budget 30", 4);
    assert!(
        report.contains("4 programs generated: 0 violated, "),
        "{report}"
    );
}
