//! What a pipeline gates on beside exit codes: a baseline, what is here, and a trace that Perfetto opens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::common::{Sandbox, assert_exit, stderr, stdout};

#[test]
fn known_violations_pass_new_ones_fail_and_resolved_ones_must_go() {
    let sandbox = Sandbox::new();
    let directory = tempfile::tempdir().unwrap();
    let known = directory.path().join("known.json");
    let explore = |mutant: &str, more: &str, code| {
        let line = format!(
            "explore one-item --postgres local --seed 1 {mutant} --witness-dir {} --baseline {} {more}",
            directory.path().display(),
            known.display()
        );
        let output = sandbox.rowlock(&line).output().unwrap();
        assert_exit(&output, code);
        stdout(&output) + &stderr(&output)
    };
    let mutant = "--mutant unlocked-absolute-write";
    let said = explore(mutant, "", 1);
    assert!(said.contains("cannot use the baseline"), "{said}");
    explore(mutant, "--update-baseline", 0);
    // The report says what is violated; only the exit code is another.
    let said = explore(mutant, "", 0);
    assert!(said.contains("violated: item 1 oversold"), "{said}");
    assert!(said.contains("known by "), "{said}");
    // Ours is right: what is known of it is resolved.
    let said = explore("", "", 1);
    assert!(said.contains("resolved, and to be taken out of "), "{said}");
    explore("", "--update-baseline", 0);
    let said = explore(mutant, "", 1);
    assert!(said.contains("new, and not in "), "{said}");
    sandbox.wait_until_clean();
}

#[test]
fn a_doctor_says_what_is_here_and_fails_where_no_postgresql_is() {
    let sandbox = Sandbox::new();
    let output = sandbox.rowlock("doctor").output().unwrap();
    assert_exit(&output, 0);
    let said = stdout(&output);
    assert!(said.contains("ok  --postgres local"), "{said}");
    assert!(said.contains("no  --postgres url"), "{said}");
    let mut rowlock = sandbox.rowlock("doctor");
    rowlock.env("PG_BIN", sandbox.path());
    rowlock.env("DOCKER_HOST", "tcp://127.0.0.1:1");
    let output = rowlock.output().unwrap();
    assert_exit(&output, 3);
    let said = stdout(&output);
    assert!(said.contains("it holds no initdb"), "{said}");
    assert!(said.contains("no PostgreSQL can be had here"), "{said}");
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let sandbox = Sandbox::new();
    let output = sandbox.rowlock("completions bash").output().unwrap();
    assert_exit(&output, 0);
    let script = stdout(&output);
    assert!(script.contains("complete -F _rowlock"), "{script}");
    assert!(script.contains("--update-baseline"), "{script}");
    let directory = tempfile::tempdir().unwrap();
    let man = format!("man {}", directory.path().display());
    assert_exit(&sandbox.rowlock(&man).output().unwrap(), 0);
    let explore = std::fs::read_to_string(directory.path().join("rowlock-explore.1")).unwrap();
    assert!(explore.contains("buyers"), "{explore}");
}

/// The format's rules: known phases, times that rise, slices of a thread that nest, flows with both ends, and
/// names for every process and thread.
#[test]
fn a_replay_is_a_trace_that_keeps_the_formats_rules() {
    let sandbox = Sandbox::new();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace.json");
    let witness = "../examples/witnesses/repeatable-read-unretried.json";
    let witness = Path::new(env!("CARGO_MANIFEST_DIR")).join(witness);
    let line = format!(
        "replay {} --postgres local --chrome-trace {}",
        witness.display(),
        file.display()
    );
    assert_exit(&sandbox.rowlock(&line).output().unwrap(), 1);
    let events: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let number = |event: &Value, name: &str| event[name].as_f64().unwrap();
    let lane = |event: &Value| {
        (
            event["pid"].as_u64().unwrap(),
            event["tid"].as_u64().unwrap(),
        )
    };
    let mut named = BTreeSet::new();
    let mut busy: BTreeMap<(u64, u64), f64> = BTreeMap::new();
    let mut flows: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let mut now = 0.0;
    let mut slices = Vec::new();
    for event in &events {
        let phase = event["ph"].as_str().unwrap();
        match phase {
            "M" if event["name"] == "thread_name" => {
                named.insert(lane(event));
                continue;
            }
            "M" => continue,
            "X" => {
                let ends = number(event, "ts") + number(event, "dur");
                let free = busy.entry(lane(event)).or_default();
                // Nanoseconds are rounded to a float of microseconds.
                assert!(number(event, "ts") + 0.01 >= *free, "{event}");
                *free = ends;
                slices.push(event);
            }
            "s" | "f" => {
                let id = event["id"].as_u64().unwrap();
                flows.entry(id).or_default().push(phase.to_owned());
            }
            other => panic!("{other}: {event}"),
        }
        assert!(named.contains(&lane(event)), "{event}");
        assert!(number(event, "ts") >= now, "{event}");
        now = number(event, "ts");
    }
    assert!(slices.len() > 10, "{}", slices.len());
    assert!(
        slices
            .iter()
            .any(|it| it["name"].as_str().unwrap().contains("update item"))
    );
    assert!(!flows.is_empty());
    assert!(flows.values().all(|ends| *ends == ["s", "f"]), "{flows:?}");
    sandbox.wait_until_clean();
}

#[test]
fn who_wants_to_fail_fast_is_told_what_was_left_out() {
    let sandbox = Sandbox::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/witnesses");
    let line = format!(
        "replay {0}/stale-after-lock.json {0}/unlocked-absolute-write.json --postgres local --fail-fast",
        examples.display()
    );
    let output = sandbox.rowlock(&line).output().unwrap();
    assert_exit(&output, 1);
    let said = stdout(&output);
    assert!(
        said.contains("witnesses left out (--fail-fast): 1\n"),
        "{said}"
    );
    assert!(
        !said.contains("unlocked-absolute-write.json: violated"),
        "{said}"
    );
    let line = "faults --postgres local --no-crash --fail-fast --mutant statement-on-the-pool";
    let output = sandbox.rowlock(line).output().unwrap();
    assert_exit(&output, 1);
    let said = stdout(&output);
    let left_out = "left out: what had not begun when the first violation was found (--fail-fast)";
    assert!(said.contains(left_out), "{said}");
    assert!(
        said.contains(" --fail-fast --mutant statement-on-the-pool"),
        "{said}"
    );
    sandbox.wait_until_clean();
}
