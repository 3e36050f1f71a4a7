//! Violations that are explored become witnesses, and a witness replays: on the target that was
//! caught, on one that is right, on a foreign one, file by file and a directory at a time.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use common::{Sandbox, assert_exit, stderr, stdout};
use tempfile::TempDir;

const UNLOCKED: &str = "--postgres local --mutant unlocked-absolute-write";

/// What exploring has left.
struct Explored {
    report: String,
    witness: PathBuf,
    /// Where the witness is, and goes with this.
    _directory: TempDir,
}

/// Explores until a violation, of which there is one witness.
fn explore(sandbox: &Sandbox, arguments: &str) -> Explored {
    let directory = tempfile::tempdir().unwrap();
    let mut rowlock = sandbox.rowlock(&format!("explore {arguments}"));
    rowlock.arg("--witness-dir").arg(directory.path());
    let output = rowlock.output().unwrap();
    assert_exit(&output, 1);
    let files = fs::read_dir(directory.path()).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    Explored {
        report: stdout(&output),
        witness: files[0].clone(),
        _directory: directory,
    }
}

fn replay(sandbox: &Sandbox, path: &Path, arguments: &str) -> Output {
    let mut rowlock = sandbox.rowlock(&format!("replay {arguments}"));
    rowlock.arg(path).output().unwrap()
}

/// The part of a report that is for people's eyes, without what is the machine's.
fn shown(report: &str) -> String {
    let from = report.find("violated: ").unwrap();
    let to = report.find("shrunk: ").unwrap();
    report[from..to].to_owned()
}

#[test]
fn an_unlocked_lost_update_is_found_shrunk_and_replayed_every_time() {
    let sandbox = Sandbox::new();
    let explored = format!("one-item --buyers 3 --seed 1 --strategy random {UNLOCKED}");
    let Explored {
        report, witness, ..
    } = &explore(&sandbox, &explored);
    insta::assert_snapshot!(shown(report));
    let last = report.lines().last().unwrap();
    let path = witness.display();
    assert_eq!(last, format!("replay:   rowlock replay {path} {UNLOCKED}"));

    let output = replay(&sandbox, witness, &format!("--times 20 {UNLOCKED}"));
    assert_exit(&output, 1);
    let text = stdout(&output);
    assert!(
        text.contains("20 of 20 violated, 0 held, 0 inconclusive"),
        "{text}"
    );
    assert!(
        text.contains("both read stock = 2, and neither held the row"),
        "{text}"
    );
    sandbox.wait_until_clean();
}

#[test]
fn a_violation_whose_witness_cannot_be_written_is_shown_all_the_same() {
    let sandbox = Sandbox::new();
    let explored = format!("explore one-item --seed 1 --witness-dir /proc/x {UNLOCKED}");
    let output = sandbox.rowlock(&explored).output().unwrap();
    assert_exit(&output, 1);
    let report = stdout(&output);
    assert!(
        report.contains("both read stock = 1, and neither held the row"),
        "{report}"
    );
    let last: Vec<_> = report.lines().rev().take(2).collect();
    assert!(
        last[1].starts_with("witness:  not written: cannot write /proc/x: "),
        "{report}"
    );
    assert!(
        last[0].starts_with("again:    rowlock explore one-item "),
        "{report}"
    );
}

#[test]
fn exploring_twice_writes_the_same_file() {
    let sandbox = Sandbox::new();
    let explored = format!("one-item --seed 1 {UNLOCKED}");
    let one = explore(&sandbox, &explored);
    let other = explore(&sandbox, &explored);
    assert_eq!(one.witness.file_name(), other.witness.file_name());
    let read = |explored: &Explored| fs::read_to_string(&explored.witness).unwrap();
    assert_eq!(read(&one), read(&other));
}

#[test]
fn a_target_with_other_statements_is_inconclusive_and_the_first_is_named() {
    let sandbox = Sandbox::new();
    let explored = explore(&sandbox, &format!("one-item --seed 1 {UNLOCKED}"));
    let output = replay(&sandbox, &explored.witness, "--postgres local");
    assert_exit(&output, 3);
    let text = stdout(&output);
    let expected = "the target's statements no longer match from step 1
  expected  buyer A: select price, stock from item where id = 1
  got       buyer A: select price, stock from item where id = 1 for update";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn a_value_that_is_stale_after_a_lock_is_explained() {
    let sandbox = Sandbox::new();
    let stale = "one-item --buyers 3 --seed 1 --postgres local --mutant stale-after-lock";
    let explored = explore(&sandbox, stale);
    insta::assert_snapshot!(shown(&explored.report));
    let output = replay(
        &sandbox,
        &explored.witness,
        "--postgres local --mutant stale-after-lock",
    );
    assert_exit(&output, 1);
}

#[test]
fn each_classic_race_has_its_sentence() {
    let sandbox = Sandbox::new();
    for (mutant, sentence) in [
        (
            "lock-in-autocommit",
            "buyer A and buyer B both read stock = 1, and neither held the row",
        ),
        (
            "unlocked-relative-decrement",
            "buyer A and buyer B both read stock = 1, and neither held the row",
        ),
        (
            "check-before-transaction",
            "buyer B read stock = 1 before it held the row, buyer A changed the row meanwhile",
        ),
        (
            "share-lock-upgraded",
            "buyer A and buyer B share a hold on item (id = 1), and each waits for the other",
        ),
        (
            "version-without-row-count",
            "found no row, and buyer A went on as if it had",
        ),
    ] {
        let explore_it = format!("one-item --seed 1 --postgres local --mutant {mutant}");
        let explored = explore(&sandbox, &explore_it);
        let words: Vec<_> = explored.report.split_whitespace().collect();
        assert!(words.join(" ").contains(sentence), "{}", explored.report);
    }
}

#[test]
fn a_directory_gets_a_line_for_each_file_and_the_worst_exit_code() {
    let sandbox = Sandbox::new();
    let explored = explore(&sandbox, &format!("one-item --seed 1 {UNLOCKED}"));
    let directory = explored.witness.parent().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
    write("a-broken.json", "{\"format\": 1,\n  \"target\": }");
    write("b-newer.json", "{\"format\": 99}");
    write("notes.txt", "no witness");
    let output = replay(&sandbox, directory, UNLOCKED);
    assert_exit(&output, 1);
    let lines: Vec<_> = stdout(&output).lines().skip(3).map(str::to_owned).collect();
    let names: Vec<_> = ["a-broken.json", "b-newer.json"]
        .map(|name| directory.join(name).display().to_string())
        .to_vec();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(
        lines[0],
        format!(
            "{} is no witness: expected value at line 2 column 13",
            names[0]
        )
    );
    assert!(
        lines[1].starts_with(&format!("{} has format 99", names[1])),
        "{lines:?}"
    );
    assert_eq!(
        lines[2],
        format!(
            "{}: violated again: stock-gone-is-purchases, stock-gone-is-answers, linearizable",
            explored.witness.display()
        )
    );
}

#[test]
fn nothing_to_replay_is_said_before_anything_starts() {
    let sandbox = Sandbox::new();
    let output = replay(&sandbox, Path::new("/nowhere/w.json"), "--postgres local");
    assert_exit(&output, 3);
    let said = stderr(&output);
    assert!(said.contains("cannot read /nowhere/w.json"), "{said}");
    assert!(!stdout(&output).contains("postgres:"));
}
