//! The command line as its users meet it: what it takes, what it prints, how it exits, and that
//! nothing is left of it, however it ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use crate::common::{Sandbox, assert_exit, eventually, stderr, stdout};
use quick_junit::{NonSuccessKind, TestCaseStatus};
use rowlock::client::{Client, Clock};
use rowlock::shop::scenario::SCENARIOS;
use rowlock_core::universal;
use rowlock_shop::history::Request;
use rowlock_shop::invariant::INVARIANTS;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

#[test]
fn list_names_every_scenario_and_every_invariant() {
    let output = Sandbox::new().rowlock("list").output().unwrap();
    assert_exit(&output, 0);
    let names = SCENARIOS.iter().map(|scenario| scenario.name.as_str());
    let invariants = INVARIANTS.iter().map(|invariant| invariant.name);
    let universal = universal::CHECKS.iter().map(|check| check.name);
    for name in names.chain(invariants).chain(universal) {
        let mut lines = stdout(&output)
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .into_iter();
        assert!(
            lines.any(|line| line.starts_with(&format!("  {name} "))),
            "{name}"
        );
    }
}

#[test]
fn wrong_usage_exits_with_2_and_names_what_is_wrong() {
    for (arguments, named) in [
        ("", "Usage: rowlock <COMMAND>"),
        ("run", "<SCENARIO>"),
        ("run no-such-scenario", "concurrent-buyers"),
        ("run burst", "--contract FILE"),
        ("verify --seed 12x", "seed \"12x\" is no 64-bit number"),
        ("verify --buyers 0", "--buyers"),
        ("verify --replicas 0", "--replicas"),
        ("verify --stock=-1", "--stock"),
        ("verify --format xml", "human, json"),
        ("verify --postgres sqlite", "auto, container, local, url"),
        (
            "verify --service-cmd 'open",
            "it is empty or has an open quote",
        ),
        ("verify --mutant none --buyers 1", "unlocked-absolute-write"),
        ("verify --buyers 4294967295", "--buyers"),
        ("verify --replicas 4294967295", "--replicas"),
        ("explore --buyers 4294967295", "4294967295"),
        ("explore --buyers 4294967295", "--buyers"),
        ("explore --workers 4294967295", "--workers"),
        ("explore --strategy pct --bound 99999999999", "--bound"),
        ("explore --budget 307445734561825861m", "--budget"),
        ("explore --budget 99999999999999s", "99999999999999s"),
        ("explore --format json", "unexpected argument '--format'"),
        ("explore --junit x.xml", "unexpected argument '--junit'"),
        (
            "explore --request-timeout-s 5",
            "unexpected argument '--request-timeout-s'",
        ),
        (
            "verify --mutant unlocked-absolute-write --service-cmd a",
            "cannot be used with",
        ),
    ] {
        let output = Sandbox::new().rowlock(arguments).output().unwrap();
        assert_exit(&output, 2);
        assert!(
            stderr(&output).contains(named),
            "{arguments}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn more_buyers_than_open_files_are_refused_before_anything_starts() {
    let sandbox = Sandbox::new();
    let rowlock = env!("CARGO_BIN_EXE_rowlock");
    let script = format!("ulimit -n 300; exec {rowlock} run concurrent-buyers --buyers 1000");
    let output = sandbox
        .command("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    assert_exit(&output, 3);
    let error = stderr(&output);
    assert!(
        error.contains("1000 buyers need 1200 open files and this process may have 300"),
        "{error}"
    );
    assert!(error.contains("ulimit -Hn"), "{error}");
}

/// Whose reader leaves before the first word, and what each says by its exit code all the same.
#[test]
fn a_reader_who_has_left_is_no_error() {
    let textbook = |name: &str| format!("{}/tests/histories/{name}", env!("CARGO_MANIFEST_DIR"));
    let ok = textbook("nothing-is-lost-ok.jsonl");
    let bad = textbook("nothing-is-lost-bad.jsonl");
    for (arguments, code) in [
        ("list".to_owned(), 0),
        ("--help".to_owned(), 0),
        ("verify --help".to_owned(), 0),
        (format!("check {ok} {ok}"), 0),
        (format!("check {bad}"), 1),
        (format!("check --format json {bad}"), 1),
        ("run balance-edge --postgres local".to_owned(), 0),
        ("explore one-item --postgres local".to_owned(), 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let sandbox = Sandbox::new();
        let output = sandbox.rowlock(&arguments).stdout(writer).output().unwrap();
        assert_exit(&output, code);
        assert_eq!(stderr(&output), "", "{arguments}");
        sandbox.wait_until_clean();
    }
}

#[test]
fn a_reader_of_errors_who_has_left_is_none_either() {
    for (arguments, code) in [
        ("check /nowhere.jsonl", 2),
        (
            "run balance-edge --postgres local --service-cmd /no/such/program",
            3,
        ),
        ("replay /nowhere/w.json", 3),
        ("explore no-such-program", 2),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let sandbox = Sandbox::new();
        let output = sandbox.rowlock(arguments).stderr(writer).output().unwrap();
        assert_exit(&output, code);
        sandbox.wait_until_clean();
    }
}

fn run(sandbox: &Sandbox, arguments: &str) -> Output {
    let output = sandbox.rowlock(arguments).output().unwrap();
    sandbox.wait_until_clean();
    output
}

#[test]
fn json_carries_the_verdict_the_seed_and_the_trials_of_the_same_run() {
    let sandbox = Sandbox::new();
    let output = run(
        &sandbox,
        "run balance-edge --postgres local --seed 0x7f3a --format json",
    );
    assert_exit(&output, 0);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"], "valid");
    assert_eq!(report["seed"], "0x0000000000007f3a");
    let scenario = &report["scenarios"][0];
    assert_eq!(scenario["name"], "balance-edge");
    let trial = &scenario["trials"][1];
    assert_eq!(trial["name"], "at once");
    assert_eq!(trial["operations"], 734);
    assert_eq!(trial["answers"]["ok"], 447);
    assert_eq!(trial["answers"]["bad_request"], 287);
    assert!(trial["p99_us"].as_u64() >= trial["p50_us"].as_u64());
    let reproduce = scenario["reproduce"].as_str().unwrap();
    assert!(
        reproduce.contains("--seed 0x0000000000007f3a"),
        "{reproduce}"
    );
    assert!(!report["not_verified"].as_array().unwrap().is_empty());
}

#[test]
fn junit_has_a_suite_per_scenario_and_a_failure_per_violation() {
    let sandbox = Sandbox::new();
    let results = tempfile::tempdir().unwrap();
    let path = results.path().join("junit.xml");
    let arguments = format!(
        "run concurrent-buyers --postgres local --buyers 200 --stock 50,0 \
         --mutant unlocked-absolute-write --junit {}",
        path.display()
    );
    let output = run(&sandbox, &arguments);
    assert_exit(&output, 1);
    let xml = std::fs::read_to_string(path).unwrap();
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    let [suite] = report.test_suites.as_slice() else {
        panic!("{xml}")
    };
    assert_eq!(suite.name.as_str(), "concurrent-buyers");
    assert!(
        suite
            .properties
            .iter()
            .any(|property| property.name.as_str() == "seed")
    );

    let fails = |trial: &str, name: &str| {
        let is_it = |case: &&quick_junit::TestCase| {
            let class = case.classname.as_ref().map(|class| class.as_str());
            case.name.as_str() == name && class.is_some_and(|class| class.ends_with(trial))
        };
        let case = suite.test_cases.iter().find(is_it).unwrap();
        matches!(
            case.status,
            TestCaseStatus::NonSuccess {
                kind: NonSuccessKind::Failure,
                ..
            }
        )
    };
    assert!(fails("200 buyers, stock 50", "stock-gone-is-purchases"));
    assert!(fails("200 buyers, stock 50", "expected-answers"));
    assert!(!fails("200 buyers, stock 50", "no-deadlock"));
    // Where nothing is for sale, nothing can be lost.
    assert!(!fails("200 buyers, stock 0", "stock-gone-is-purchases"));
}

#[test]
fn a_pipe_gets_the_report_without_colours_and_without_progress() {
    let sandbox = Sandbox::new();
    let output = run(&sandbox, "run balance-edge --postgres local");
    assert_exit(&output, 0);
    let report = stdout(&output);
    assert!(report.contains("verdict:  valid\n"), "{report}");
    assert!(!report.contains('\x1b'), "{report:?}");
    assert_eq!(stderr(&output), "");
}

/// A run that would take far longer than any of these tests.
const LONG: &str = "run concurrent-buyers --postgres local --buyers 300 \
                    --stock 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25";

fn spawn(sandbox: &Sandbox, arguments: &str) -> Child {
    let mut rowlock = sandbox.rowlock(arguments);
    rowlock
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Starts `arguments` and signals it as soon as a process with `word` in its command line runs.
fn signal_once_it_runs(sandbox: &Sandbox, arguments: &str, word: &str, signal: Signal) -> Output {
    let rowlock = spawn(sandbox, arguments);
    eventually("it runs", || sandbox.runs(word), || sandbox.remains());
    kill_process(Pid::from_child(&rowlock), signal).unwrap();
    rowlock.wait_with_output().unwrap()
}

#[test]
fn a_signal_in_the_middle_of_a_run_exits_with_130_and_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let sandbox = Sandbox::new();
        let output = signal_once_it_runs(&sandbox, LONG, "rowlock target", signal);
        assert_exit(&output, 130);
        assert_eq!(stdout(&output), "");
        let said = stderr(&output);
        assert!(said.starts_with("interrupted\n"), "{said}");
        let again = said.lines().last().unwrap();
        assert!(
            again.starts_with("  rowlock run concurrent-buyers --seed 0x"),
            "{said}"
        );
        sandbox.wait_until_clean();
    }
}

/// Once a session is in a database of the run's own, all that the command starts has been started.
#[test]
fn a_signal_ends_whatever_else_runs_and_leaves_nothing() {
    let witness = format!(
        "{}/../examples/witnesses/unlocked-absolute-write.json",
        env!("CARGO_MANIFEST_DIR")
    );
    for (arguments, command) in [
        (
            "explore one-item --buyers 4 --strategy random --budget 60m".to_owned(),
            "explore",
        ),
        (format!("replay {witness} --times 1000000"), "replay"),
        ("faults".to_owned(), "faults"),
        ("mutants --only conditional-update".to_owned(), "mutants"),
    ] {
        for signal in [Signal::INT, Signal::TERM] {
            let sandbox = Sandbox::new();
            let arguments = format!("{arguments} --postgres local");
            let output = signal_once_it_runs(&sandbox, &arguments, "trial_", signal);
            assert_exit(&output, 130);
            let said = stderr(&output);
            assert!(said.starts_with("interrupted\n"), "{arguments}: {said}");
            let again = said.lines().last().unwrap();
            assert!(again.starts_with(&format!("  rowlock {command}")), "{said}");
            sandbox.wait_until_clean();
        }
    }
}

#[test]
fn a_signal_while_postgres_is_being_made_leaves_nothing() {
    let sandbox = Sandbox::new();
    // A cluster that is copied is made too fast to be met half-way.
    let rowlock = sandbox
        .rowlock(LONG)
        .env_remove("ROWLOCK_PG_TEMPLATES")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("it runs", || sandbox.runs("initdb"), || sandbox.remains());
    kill_process(Pid::from_child(&rowlock), Signal::INT).unwrap();
    assert_exit(&rowlock.wait_with_output().unwrap(), 130);
    sandbox.wait_until_clean();
}

#[test]
fn a_kill_leaves_neither_postgres_nor_the_target() {
    let sandbox = Sandbox::new();
    let output = signal_once_it_runs(&sandbox, LONG, "rowlock target", Signal::KILL);
    assert_eq!(output.status.code(), None);
    sandbox.wait_until_clean();
}

#[test]
fn a_kill_leaves_no_target_either_that_ignores_the_polite_signal() {
    let sandbox = Sandbox::new();
    let target = "sh -c 'trap \"\" TERM; while :; do sleep 0.1; done'";
    let mut rowlock = sandbox.rowlock("run balance-edge --postgres local");
    let mut rowlock = rowlock.args(["--service-cmd", target]).spawn().unwrap();
    eventually(
        "it runs",
        || sandbox.runs(": sleep 0.1"),
        || sandbox.remains(),
    );
    rowlock.kill().unwrap();
    rowlock.wait().unwrap();
    sandbox.wait_until_clean();
}

#[tokio::test]
async fn serve_sells_until_it_is_told_to_stop_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    let mut rowlock = spawn(&sandbox, "serve --postgres local --port 0");
    let mut lines = BufReader::new(rowlock.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut after = |words: &str| {
        lines
            .find_map(|line| line.strip_prefix(words).map(str::to_owned))
            .expect("it says where it listens")
    };
    let address = after("service:  http://");
    let page = after(&format!("page:     http://{address}"));
    let clock = Clock::start();
    let patience = Duration::from_secs(10);
    let mut client = Client::connect(address.parse().unwrap(), clock, patience)
        .await
        .unwrap();
    let items = client.get("/api/items").await.unwrap();
    assert_eq!(items.status, 200);
    assert_eq!(client.get(&page).await.unwrap().status, 200);
    let last = client.purchase(Request::new(1, 1)).await;
    assert!(last.is_ok(), "{}", last.describe());
    let sold_out = client.purchase(Request::new(2, 1)).await;
    assert_eq!(sold_out.status, Some(400));

    kill_process(Pid::from_child(&rowlock), Signal::INT).unwrap();
    assert_eq!(rowlock.wait().unwrap().code(), Some(0));
    sandbox.wait_until_clean();
}
