//! `--trace FILE`, as its readers meet it: the steps of real runs in both forms, whole however the
//! command ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Output, Stdio};

use crate::common::{Sandbox, assert_exit, eventually, stderr, stdout};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How the statement begins and ends that locks the item of a purchase.
const LOCKS: (&str, &str) = ("select price, stock from item", "for update");

/// Runs `arguments` with a trace in a file called `name`: what it said, and what is in the file.
fn traced(arguments: &str, name: &str, code: i32) -> (Output, String) {
    let sandbox = Sandbox::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    let mut rowlock = sandbox.rowlock(arguments);
    let output = rowlock.arg("--trace").arg(&path).output().unwrap();
    assert_exit(&output, code);
    sandbox.wait_until_clean();
    (output, std::fs::read_to_string(path).unwrap())
}

/// The lines of a trace in JSON, each of which is whole.
fn lines(trace: &str) -> Vec<Value> {
    assert!(trace.ends_with('\n'), "{trace:?}");
    let lines = trace.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

/// Whether one of the statements of a step is what `is_it` says.
fn has(line: &Value, is_it: impl Fn(&str) -> bool) -> bool {
    let mut statements = line["statements"].as_array().into_iter().flatten();
    statements.any(|statement| statement["sql"].as_str().is_some_and(&is_it))
}

fn locks_the_item(line: &Value) -> bool {
    has(line, |sql| {
        sql.starts_with(LOCKS.0) && sql.ends_with(LOCKS.1)
    })
}

fn commits(line: &Value) -> bool {
    has(line, |sql| sql == "commit")
}

fn is_executed(line: &&Value) -> bool {
    line["kind"] == "execute" || line["kind"] == "query"
}

#[test]
fn the_trace_of_a_search_has_the_lock_of_each_request_in_each_schedule() {
    let arguments = "explore one-item --postgres local";
    let (output, trace) = traced(arguments, "trace.jsonl", 0);
    let lines = lines(&trace);
    let mut runs: BTreeMap<_, (&str, BTreeSet<&str>)> = BTreeMap::new();
    let kept = lines.iter().filter(|line| line["phase"] == "run");
    for line in kept.filter(|line| line["lost"].is_null()) {
        assert_eq!(line["program"], "one-item", "{line}");
        let run = (line["database"].as_str().unwrap(), line["run"].as_u64());
        let schedule = line["schedule"].as_str().unwrap();
        let (known, locked) = runs.entry(run).or_insert((schedule, BTreeSet::new()));
        assert_eq!(*known, schedule, "{line}");
        if is_executed(&line) && locks_the_item(line) {
            locked.insert(line["request"].as_str().unwrap());
        }
    }
    let report = stdout(&output);
    let schedules: BTreeSet<_> = runs.values().map(|(schedule, _)| *schedule).collect();
    let counted = format!("\n  {} schedules in", schedules.len());
    assert!(report.contains(&counted), "{counted:?} in {report}");
    for (run, (schedule, locked)) in &runs {
        assert_eq!(
            *locked,
            BTreeSet::from(["A", "B"]),
            "{run:?} under {schedule}"
        );
    }
}

#[test]
fn a_line_says_what_was_sent_what_came_back_and_when() {
    let arguments = "explore one-item --postgres local";
    let (_, trace) = traced(arguments, "trace.ndjson", 0);
    let lines = lines(&trace);
    for line in &lines {
        let [invoked, sent, completed] =
            ["invoked_ns", "sent_ns", "completed_ns"].map(|name| line[name].as_u64().unwrap());
        assert!(invoked <= sent && sent <= completed, "{line}");
    }
    let is_commit = |line: &&Value| line["phase"] == "run" && commits(line);
    let commit = lines.iter().find(is_commit).unwrap();
    assert_eq!(commit["state_before"], "T");
    assert_eq!(commit["state_after"], "I");
    assert_eq!(commit["results"][1]["tag"], "COMMIT");
    let locks_the_wallet = |sql: &str| sql.starts_with("select user_id, balance from wallet");
    let is_lock = |line: &&Value| is_executed(line) && has(line, locks_the_wallet);
    let lock = lines.iter().find(is_lock).unwrap();
    assert!(lock["statements"][0]["parameters"][0].is_string(), "{lock}");
    assert!(lock["session"].is_u64() && lock["step"].is_u64(), "{lock}");
}

#[test]
fn one_schedule_is_traced_for_people_with_whose_each_step_was() {
    let schedule = "AAAAABB";
    let arguments = format!("explore one-item --postgres local --schedule {schedule}");
    let (_, trace) = traced(&arguments, "trace.txt", 0);
    for request in ["A", "B"] {
        let of_request = format!("one-item 1 {schedule} {request} ");
        let mut of_request = trace.lines().filter(|line| line.contains(&of_request));
        let lock = of_request.find(|line| line.contains(LOCKS.0)).unwrap();
        assert!(lock.contains("for update  → BEGIN SELECT 1 ("), "{lock}");
    }
}

#[test]
fn a_witness_is_traced_by_its_file_in_both_forms() {
    let witness = format!(
        "{}/../examples/witnesses/unlocked-absolute-write.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let arguments = format!("replay {witness} --postgres local");
    let (_, trace) = traced(&arguments, "trace.json", 1);
    let lines = lines(&trace);
    let runs = lines.iter().filter(|line| line["phase"] == "run");
    let runs: Vec<_> = runs.collect();
    for line in &runs {
        assert_eq!(line["witness"], witness.as_str(), "{line}");
    }
    let senders = runs.iter().filter_map(|line| line["request"].as_str());
    assert_eq!(senders.collect::<BTreeSet<_>>(), BTreeSet::from(["A", "B"]));

    let (_, trace) = traced(&arguments, "trace", 1);
    let schedule = runs[0]["schedule"].as_str().unwrap();
    let of_run = format!("{witness} one-item 1 {schedule} A ");
    assert!(trace.contains(&of_run), "{trace}");
}

#[test]
fn a_fault_is_traced_by_its_case_in_both_forms() {
    let arguments = "faults --postgres local --case purchase.6.drop-after";
    let (_, trace) = traced(arguments, "trace.jsonl", 0);
    let lines = lines(&trace);
    let mut of_case = lines
        .iter()
        .filter(|line| line["case"] == "purchase.6.drop-after");
    assert!(of_case.any(commits), "{trace}");
    assert!(lines.iter().any(|line| line["phase"] == "baseline"));

    let (_, trace) = traced(arguments, "trace.log", 0);
    let mut of_case = trace
        .lines()
        .filter(|line| line.contains(" purchase.6.drop-after "));
    assert!(of_case.any(|line| line.contains("; commit  →")), "{trace}");
}

/// Which also says that a scenario gets the proxy that it has not without.
#[test]
fn a_load_is_traced_by_its_scenario_in_both_forms() {
    let arguments = "run double-click --postgres local";
    let (output, trace) = traced(arguments, "trace.jsonl", 0);
    let lines = lines(&trace);
    let load = lines.iter().filter(|line| line["phase"] == "load");
    let load: Vec<_> = load.collect();
    for line in &load {
        assert_eq!(line["scenario"], "double-click", "{line}");
    }
    let databases = load.iter().map(|line| line["database"].as_str().unwrap());
    assert!(databases.collect::<BTreeSet<_>>().len() > 1);
    let commits = load.iter().filter(|line| commits(line)).count();
    let report = stdout(&output);
    // Purchases of one item share them.
    assert!(commits > 20, "{commits} commits of {report}");

    let (_, trace) = traced(arguments, "trace.txt", 0);
    let mut load = trace
        .lines()
        .filter(|line| line.contains(" double-click load "));
    assert!(load.any(|line| line.contains("; commit  → INSERT 0 1 (1) COMMIT  T→I  ")));
}

#[test]
fn a_file_that_cannot_be_made_is_wrong_usage_before_anything_starts() {
    let missing = Path::new("/nowhere/trace.jsonl");
    for arguments in [
        "explore",
        "explore --schedule AB",
        "replay /nowhere/witness.json",
        "faults",
        "run double-click",
    ] {
        let sandbox = Sandbox::new();
        let mut rowlock = sandbox.rowlock(arguments);
        let output = rowlock.arg("--trace").arg(missing).output().unwrap();
        assert_exit(&output, 2);
        assert_eq!(stdout(&output), "", "{arguments}");
        assert_eq!(
            stderr(&output),
            "error: cannot write the trace /nowhere/trace.jsonl: No such file or directory (os \
             error 2)\n"
        );
    }
}

#[test]
fn a_file_that_takes_no_more_is_said_and_takes_nothing_from_a_violation() {
    for (mutant, code) in [("", 3), (" --mutant unlocked-absolute-write", 1)] {
        let sandbox = Sandbox::new();
        let directory = tempfile::tempdir().unwrap();
        let arguments = format!("explore one-item --postgres local --trace /dev/full{mutant}");
        let mut rowlock = sandbox.rowlock(&arguments);
        let output = rowlock.arg("--witness-dir").arg(directory.path()).output();
        let output = output.unwrap();
        assert_exit(&output, code);
        assert!(
            stderr(&output).contains("error: the trace /dev/full is not whole: No space left"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn a_signal_leaves_a_trace_of_whole_lines() {
    for arguments in [
        "explore one-item --buyers 4 --strategy random --budget 60m",
        "run concurrent-buyers --buyers 300 --stock 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
    ] {
        let sandbox = Sandbox::new();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace.jsonl");
        let mut rowlock = sandbox.rowlock(arguments);
        let rowlock = rowlock.args(["--postgres", "local", "--trace"]).arg(&path);
        let rowlock = rowlock
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It is written as it comes, and not at the end.
        let has_lines = || path.metadata().is_ok_and(|file| file.len() > 0);
        eventually("it is written", has_lines, || sandbox.remains());
        kill_process(Pid::from_child(&rowlock), Signal::INT).unwrap();
        let output = rowlock.wait_with_output().unwrap();
        assert_exit(&output, 130);
        assert!(!lines(&std::fs::read_to_string(&path).unwrap()).is_empty());
        sandbox.wait_until_clean();
    }
}
