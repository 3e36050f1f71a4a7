//! One printed schedule, run again by `rowlock explore --schedule`.

use std::path::Path;

use crate::common::{Sandbox, assert_exit, stderr, stdout};

/// The exit code of what was not proven.
const INCONCLUSIVE: i32 = 4;

/// Explores two buyers of one item as `arguments` say, and gives the report.
fn explore(sandbox: &Sandbox, arguments: &str, code: i32) -> String {
    explore_into(Path::new("/nowhere"), sandbox, arguments, code)
}

/// The same; witnesses are written to `witnesses`.
fn explore_into(witnesses: &Path, sandbox: &Sandbox, arguments: &str, code: i32) -> String {
    let mut rowlock = sandbox.rowlock("explore one-item --postgres local");
    rowlock.args(arguments.split_whitespace());
    let output = rowlock.arg("--witness-dir").arg(witnesses).output();
    let output = output.expect("the command starts");
    assert_exit(&output, code);
    stdout(&output)
}

/// What follows `label` on its line.
fn after<'a>(report: &'a str, label: &str) -> &'a str {
    let mut lines = report.lines();
    let found = lines.find_map(|line| line.trim_start().strip_prefix(label));
    found.unwrap_or_else(|| panic!("no {label:?} in {report}"))
}

#[test]
fn a_schedule_that_was_printed_is_violated_again_and_leaves_a_witness_that_replays() {
    let sandbox = Sandbox::new();
    let witnesses = tempfile::tempdir().expect("a directory");
    let witnesses = witnesses.path();
    let mutant = "--mutant unlocked-absolute-write";
    let found = explore_into(witnesses, &sandbox, mutant, 1);
    let printed = after(&found, "violated by schedule ");
    let printed = printed.split(' ').next().expect("a schedule");
    let arguments = format!("{mutant} --schedule {printed}");
    let report = explore_into(witnesses, &sandbox, &arguments, 1);
    assert_eq!(after(&report, "schedule: "), printed);
    assert!(
        report.contains("\nviolated: stock-gone-is-purchases"),
        "{report}"
    );
    let replay = after(&report, "replay:   rowlock ");
    let output = sandbox
        .rowlock(replay)
        .output()
        .expect("the command starts");
    assert_exit(&output, 1);
}

#[test]
fn a_right_service_holds_under_one_schedule_which_is_shown_whole() {
    let sandbox = Sandbox::new();
    let report = explore(&sandbox, "--schedule AB", 0);
    assert!(
        report.contains("\nnot violated: all holds under this schedule\n"),
        "{report}"
    );
    // What the schedule leaves open is done without a switch, and printed.
    let whole = after(&report, "schedule: ");
    assert!(whole.starts_with("AB") && whole.len() > 2, "{whole}");
    let again = explore(&sandbox, &format!("--schedule {whole}"), 0);
    assert_eq!(after(&again, "schedule: "), whole);
    assert!(report.contains("A: user 1 buys item 1"), "{report}");
    sandbox.wait_until_clean();
}

#[test]
fn a_schedule_that_cannot_be_followed_says_at_which_choice_and_why() {
    let sandbox = Sandbox::new();
    // A locks the row; B waits for it and cannot go on.
    let waits = explore(&sandbox, "--schedule ABB", INCONCLUSIVE);
    assert!(
        waits.contains(
            "not followed: the schedule's choice 3 is B, which waits for A and has no step to deliver"
        ),
        "{waits}"
    );
    let many = "A".repeat(50);
    let answered = explore(&sandbox, &format!("--schedule {many}"), INCONCLUSIVE);
    assert!(
        answered.contains("is A, which was answered and has no step to deliver"),
        "{answered}"
    );
    let whole = after(&explore(&sandbox, "--schedule A", 0), "schedule: ").to_owned();
    let longer = explore(&sandbox, &format!("--schedule {whole}AB"), INCONCLUSIVE);
    let choices = whole.len();
    let sentence = format!(
        "not followed: every request was answered after choice {choices} of {}",
        choices + 2
    );
    assert!(longer.contains(&sentence), "{longer}");
}

#[test]
fn what_is_no_schedule_is_refused_before_anything_starts() {
    let sandbox = Sandbox::new();
    for (arguments, complaint) in [
        ("--schedule ABx", "'x' at character 3 is no request"),
        (
            "--schedule (AA)",
            "the pair that begins at character 1 is A twice",
        ),
        (
            "--schedule ABC",
            "--schedule ABC names request C, and there are 2 buyers; for C it takes --buyers 3",
        ),
        ("--schedule AB --strategy pct", "cannot be used with"),
        ("--schedule AB --seed 1", "cannot be used with"),
    ] {
        let command = format!("explore one-item --postgres local {arguments}");
        let output = sandbox.rowlock(&command).output();
        let output = output.expect("the command starts");
        assert_exit(&output, 2);
        assert!(stderr(&output).contains(complaint), "{}", stderr(&output));
    }
    sandbox.wait_until_clean();
}
