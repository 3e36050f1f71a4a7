//! Violations that are explored become witnesses, and a witness replays: on the target that was
//! caught, on one that is right, on a foreign one, file by file and a directory at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::{Sandbox, assert_exit, stderr, stdout};
use rowlock_testing::tool::python;
use serde_json::Value;
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
    let from = report.find("\nviolated: ").unwrap() + 1;
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
    assert_exit(&output, 4);
    let text = stdout(&output);
    let expected = "the target's statements no longer match from step 1
  expected  buyer A: select price, stock from item where id = 1
  got       buyer A: begin isolation level read committed; select price, stock from item where id = \
                    1 for update";
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
fn a_witness_that_asks_for_keys_is_an_error_on_a_target_without_them() {
    let Some(python) = python() else { return };
    let sandbox = Sandbox::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let witness = root.join("../examples/witnesses/key-checked-apart.json");
    let shop = root.join("tests/targets/shop_unlocked.py");
    let service = shlex::try_join([&python, shop.to_str().unwrap()]).unwrap();
    let mut rowlock = sandbox.rowlock("replay --postgres local");
    let output = rowlock.arg(witness).args(["--service-cmd", &service]);
    let output = output.output().unwrap();
    assert_exit(&output, 3);
    let said = stderr(&output);
    assert!(
        said.contains("repeats an Idempotency-Key, and the target knows no such keys"),
        "{said}"
    );
    sandbox.wait_until_clean();
}

/// Every way to write a witness by hand that cannot be run, and what is said of it.
const UNRUNNABLE: &[(&str, &str, &str)] = &[
    (
        "together",
        r#"schedule[0]={"together":[0,0]}"#,
        "schedule[0] delivers request 0 twice at once",
    ),
    (
        "newline",
        r#"program.requests[0].key="a\nb""#,
        "program.requests[0].key \"a\\nb\" cannot be sent as an Idempotency-Key",
    ),
    (
        "letter",
        r#"program.requests[1].key="é""#,
        "program.requests[1].key \"é\" cannot be sent as an Idempotency-Key",
    ),
    (
        "stock",
        "program.initial.items.1.stock=-1",
        "program.initial.items.1.stock is -1",
    ),
    (
        "price",
        "program.initial.items.1.price=-2",
        "program.initial.items.1.price is -2",
    ),
    (
        "balance",
        "program.initial.wallets.2=-3",
        "program.initial.wallets.2 is -3",
    ),
];

/// `witness` with the value at a path replaced, as in `program.requests[0].key="k"`.
fn changed(witness: &Value, change: &str) -> Value {
    let (path, value) = change.split_once('=').unwrap();
    let pointer = path.replace(['.', '['], "/").replace(']', "");
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let mut witness = witness.clone();
    let parent = witness.pointer_mut(&format!("/{parent}")).unwrap();
    let value = serde_json::from_str(value).unwrap();
    match parent {
        Value::Array(elements) => elements[last.parse::<usize>().unwrap()] = value,
        parent => parent[last] = value,
    }
    witness
}

#[test]
fn a_file_that_cannot_be_run_names_its_field_and_stops_no_other() {
    let sandbox = Sandbox::new();
    let directory = tempfile::tempdir().unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/witnesses");
    let good = fs::read_to_string(examples.join("unlocked-absolute-write.json")).unwrap();
    let witness: Value = serde_json::from_str(&good).unwrap();
    // Before and after all others.
    for name in ["a-good.json", "z-good.json"] {
        fs::write(directory.path().join(name), &good).unwrap();
    }
    for (name, change, _) in UNRUNNABLE {
        let path = directory.path().join(format!("bad-{name}.json"));
        fs::write(path, changed(&witness, change).to_string()).unwrap();
    }
    let output = replay(&sandbox, directory.path(), "--postgres local");
    assert_exit(&output, 1);
    let text = stdout(&output);
    for (name, _, said) in UNRUNNABLE {
        let line = format!("bad-{name}.json is no witness: {said}");
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert_eq!(
        text.matches("good.json: violated again").count(),
        2,
        "{text}"
    );
    sandbox.wait_until_clean();
}

#[test]
fn a_target_that_does_not_start_for_one_file_hides_no_other() {
    let Some(python) = python() else { return };
    let sandbox = Sandbox::new();
    let directory = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = root.join("../examples/witnesses");
    for (name, witness) in [
        ("a.json", "unlocked-absolute-write.json"),
        ("b.json", "key-checked-apart.json"),
        ("c.json", "unlocked-absolute-write.json"),
    ] {
        fs::copy(examples.join(witness), directory.path().join(name)).unwrap();
    }
    let shop = root.join("tests/targets/shop_unlocked.py");
    let service = shlex::try_join([&python, shop.to_str().unwrap()]).unwrap();
    let mut rowlock = sandbox.rowlock("replay --postgres local");
    let output = rowlock
        .arg(directory.path())
        .args(["--service-cmd", &service]);
    let output = output.output().unwrap();
    assert_exit(&output, 1);
    let text = stdout(&output);
    for line in [
        "a.json: violated again",
        "b.json: program repeated-key repeats an Idempotency-Key",
        "c.json: violated again",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
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
