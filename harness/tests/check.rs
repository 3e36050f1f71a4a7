//! `rowlock check` on the textbook: pairs of histories, one right and one wrong, by one fact each.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rowlock_shop::linearizability::{Budget, Conclusion, Recording, check};

fn histories() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    let files = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

fn rowlock(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rowlock"));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/histories"));
    command.arg("check").args(args).output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn file_of(lines: &[&str]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(lines.join("\n").as_bytes()).unwrap();
    file
}

#[test]
fn every_fact_has_a_right_history_and_a_wrong_one() {
    let names: BTreeSet<_> = histories().iter().map(|path| name(path)).collect();
    for name in &names {
        let twin = match (name.strip_suffix("-ok"), name.strip_suffix("-bad")) {
            (Some(fact), None) => format!("{fact}-bad"),
            (None, Some(fact)) => format!("{fact}-ok"),
            _ => panic!("{name} is neither -ok nor -bad"),
        };
        assert!(names.contains(&twin), "{name} has no twin");
    }
    assert!(names.len() >= 20, "{} histories", names.len());
}

#[test]
fn the_textbook_is_judged_as_its_labels_say() {
    for path in histories() {
        let (recording, _) = Recording::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let conclusion = check(&recording, Budget::default());
        match name(&path).ends_with("-ok") {
            true => assert!(
                matches!(conclusion, Conclusion::Linearizable(_)),
                "{}: {conclusion:?}",
                name(&path)
            ),
            false => assert!(
                matches!(conclusion, Conclusion::Contradicted(_)),
                "{}: {conclusion:?}",
                name(&path)
            ),
        }
    }
}

#[test]
fn a_wrong_history_is_explained_in_a_sentence_and_its_lines() {
    let bad = histories()
        .into_iter()
        .map(|path| format!("{}.jsonl", name(&path)));
    let bad: Vec<_> = bad.filter(|name| name.ends_with("-bad.jsonl")).collect();
    let args: Vec<_> = bad.iter().map(String::as_str).collect();
    let (code, stdout, stderr) = said(&rowlock(&args));
    assert_eq!((code, stderr.as_str()), (Some(1), ""));
    insta::assert_snapshot!("textbook", stdout);
}

#[test]
fn right_histories_exit_with_0() {
    let (code, stdout, _) = said(&rowlock(&[
        "last-unit-is-sold-once-ok.jsonl",
        "nothing-is-lost-ok.jsonl",
    ]));
    assert_eq!(code, Some(0));
    let expected = "last-unit-is-sold-once-ok.jsonl: linearizable (2 operations)\n\
                    nothing-is-lost-ok.jsonl: linearizable (2 operations)\n";
    assert_eq!(stdout, expected);
}

#[test]
fn one_wrong_history_among_right_ones_exits_with_1() {
    let files = [
        "last-unit-is-sold-once-ok.jsonl",
        "last-unit-is-sold-once-bad.jsonl",
    ];
    assert_eq!(said(&rowlock(&files)).0, Some(1));
}

#[test]
fn malformed_input_exits_with_2_and_names_file_line_and_reason() {
    let file = file_of(&[
        r#"{"initial": {"items": {"1": {"price": 1, "stock": 1}}, "wallets": {"1": 1}}}"#,
        "",
        r#"{"user_id": 1, "item_id": 1, "invoked_ns": 5, "completed_ns": 4, "ok": {}}"#,
    ]);
    let path = file.path().to_str().unwrap();
    let (code, stdout, stderr) = said(&rowlock(&[path]));
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert_eq!(
        stderr,
        format!("error: {path}:3: completed_ns 4 is before invoked_ns 5\n")
    );
    let (code, _, stderr) = said(&rowlock(&["there-is-no-such-file.jsonl"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("there-is-no-such-file.jsonl"), "{stderr}");
    assert_eq!(said(&rowlock(&[])).0, Some(2), "no file at all");
}

#[test]
fn whoever_gives_up_exits_with_3_and_claims_nothing() {
    let args = ["--max-steps", "1", "poor-and-rich-meet-bad.jsonl"];
    let (code, stdout, _) = said(&rowlock(&args));
    assert_eq!(code, Some(4));
    assert!(
        stdout.starts_with("poor-and-rich-meet-bad.jsonl: inconclusive"),
        "{stdout}"
    );
}

#[test]
fn the_json_carries_verdict_reason_and_lines() {
    let args = [
        "--format",
        "json",
        "nothing-is-lost-bad.jsonl",
        "poor-and-rich-meet-ok.jsonl",
    ];
    let (code, stdout, _) = said(&rowlock(&args));
    assert_eq!(code, Some(1));
    insta::assert_snapshot!("json", stdout);
}
