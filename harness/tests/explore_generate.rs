//! Programs that nobody wrote: drawn from a seed, explored, shrunk with their rows.

use crate::common::{Sandbox, assert_exit, stdout};

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
fn money_that_is_given_back_is_missed_meanwhile_in_a_generated_program() {
    let report = generate(
        "--generate=200 --seed 0x4 --budget 300 --mutant charge-then-refund",
        1,
    );
    assert!(report.contains("insufficient-balance-was-true"), "{report}");
    // The user whose money it is, twice, and who takes the last unit.
    assert!(
        report.contains("C: user") && !report.contains("D: user"),
        "{report}"
    );
}

#[test]
fn rows_of_a_contract_are_drawn_and_shrunk_with_its_calls() {
    let sandbox = Sandbox::new();
    let witnesses = tempfile::tempdir().unwrap();
    let contract = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/contracts/shop.toml"
    );
    let mut rowlock = sandbox.rowlock("explore --generate=20 --seed 0x1 --postgres local");
    rowlock
        .args(["--contract", contract])
        .arg("--witness-dir")
        .arg(witnesses.path());
    let service = format!(
        "{} target --mutant unlocked-absolute-write",
        env!("CARGO_BIN_EXE_rowlock")
    );
    let output = rowlock.env("SHOP", service).output().unwrap();
    let report = stdout(&output);
    assert_exit(&output, 1);
    sandbox.wait_until_clean();
    assert!(report.contains("serial-order"), "{report}");
    assert!(report.contains(" 1 violated, "), "{report}");
    // Two who meet, and of the values that were drawn only those that it takes.
    assert!(!report.contains("    C: "), "{report}");
}

#[test]
fn the_service_is_right_in_programs_that_nobody_wrote() {
    let report = generate("--generate=4 --seed 0x2 --budget 30", 4);
    assert!(
        report.contains("4 programs generated: 0 violated, "),
        "{report}"
    );
}
