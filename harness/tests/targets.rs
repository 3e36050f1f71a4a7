//! Targets of every kind: the wrong one is caught every time, the right ones are not accused,
//! and what cannot be started is named.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use crate::common::{Sandbox, assert_exit, stderr, stdout};
use rowlock::mutants;
use rowlock::progress::Progress;
use rowlock::setting::Setting;
use rowlock::shop::scenario::{self, Load};
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_testing::tool::python;
use serde_json::Value;

#[tokio::test]
async fn the_unlocked_mutant_is_caught_every_time_in_20_runs() {
    const RUNS: u64 = 20;
    let rowlock = Path::new(env!("CARGO_BIN_EXE_rowlock"));
    let mutant = mutants::find("unlocked-absolute-write").unwrap();
    let progress = Progress::hidden();
    let mut caught_by_stock = [0, 0];
    let mut caught = 0;
    for seed in 0..RUNS {
        let setting = Setting {
            server: rowlock_postgres::shared_local().await,
            target: &rowlock::shop::mutant(rowlock, mutant.purchaser(), 1),
            target_env: Vec::new(),
            trace: None,
            seed: Seed(seed),
            patience: Duration::from_secs(30),
            progress: &progress,
        };
        let load = Load {
            buyers: 200,
            stocks: vec![1, 50],
            max_conflicts: None,
        };
        let trials = scenario::find("concurrent-buyers")
            .unwrap()
            .run(&setting, &load)
            .await
            .unwrap();
        let violated: Vec<_> = trials
            .iter()
            .map(|trial| trial.verdict == Some(Verdict::Violation))
            .collect();
        caught += u64::from(violated.contains(&true));
        for (count, violated) in caught_by_stock.iter_mut().zip(violated) {
            *count += u64::from(violated);
        }
    }
    let [one, fifty] = caught_by_stock;
    println!("caught {caught} times of {RUNS}: {one} by stock 1, {fifty} by stock 50");
    assert_eq!(caught, RUNS);
}

#[test]
fn the_unlocked_mutant_ends_the_command_with_1_and_the_line_that_reproduces_it() {
    let sandbox = Sandbox::new();
    let mut run = "run concurrent-buyers --seed 7 --postgres local --buyers 200 --stock 50,0 \
                   --request-timeout-s 31 --mutant unlocked-absolute-write"
        .to_owned();
    let mut last_lines = Vec::new();
    for _ in 0..2 {
        let output = sandbox.rowlock(&run).output().unwrap();
        assert_exit(&output, 1);
        let report = stdout(&output);
        assert!(
            report.starts_with("violated: item 1 oversold: "),
            "{report}"
        );
        let first = report.lines().next().unwrap();
        assert!(first.ends_with(" (stock-gone-is-purchases)"), "{report}");
        let last = report.lines().last().unwrap().to_owned();
        run = last.replace("reproduce: rowlock ", "");
        last_lines.push(last);
    }
    assert_eq!(last_lines[0], last_lines[1]);
    assert!(last_lines[0].contains("--seed 0x0000000000000007"));
    sandbox.wait_until_clean();
}

#[test]
fn two_replicas_of_ours_are_right() {
    let sandbox = Sandbox::new();
    for scenario in ["concurrent-buyers", "double-click"] {
        let run = format!("run {scenario} --postgres local --buyers 300 --stock 1,50 --replicas 2");
        let output = sandbox.rowlock(&run).output().unwrap();
        assert_exit(&output, 0);
        assert!(stdout(&output).contains("target:   purchase-service, 2 replicas"));
    }
    sandbox.wait_until_clean();
}

/// `rowlock` with `arguments` on one of the shops in Python.
fn with_shop(sandbox: &Sandbox, arguments: &str, shop: &str) -> Option<Output> {
    with_shop_in(sandbox, arguments, &[], shop)
}

/// The same, started by the command `before`.
fn with_shop_in(sandbox: &Sandbox, arguments: &str, before: &[&str], shop: &str) -> Option<Output> {
    let python = python()?;
    let shop = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/targets")
        .join(shop);
    let words = [python.as_str(), shop.to_str().unwrap()];
    let service = shlex::try_join(before.iter().copied().chain(words)).unwrap();
    let mut rowlock = sandbox.rowlock(arguments);
    rowlock.args(["--postgres", "local", "--service-cmd", &service]);
    Some(rowlock.output().unwrap())
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The names of all findings whose outcome is `outcome`, over all trials, once each.
fn findings(report: &Value, outcome: &str) -> std::collections::BTreeSet<String> {
    let scenarios = report["scenarios"].as_array().unwrap().iter();
    let trials = scenarios.flat_map(|scenario| scenario["trials"].as_array().unwrap());
    let findings = trials.flat_map(|trial| trial["findings"].as_array().unwrap());
    let chosen = findings.filter(|finding| {
        let found = &finding["outcome"];
        found == outcome || found.get(outcome).is_some()
    });
    chosen
        .map(|finding| finding["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_right_shop_in_python_passes_everything_and_every_check_is_asked_of_it() {
    let sandbox = Sandbox::new();
    let verify = "verify --buyers 200 --stock 1,50 --format json";
    let Some(output) = with_shop(&sandbox, verify, "shop_right.py") else {
        return;
    };
    assert_exit(&output, 0);
    let report = report(&output);
    assert_eq!(report["verdict"], "valid");
    let held = findings(&report, "holds");
    let invariants = rowlock_shop::invariant::INVARIANTS.iter();
    let universal = rowlock_core::universal::CHECKS.iter();
    let names = invariants.map(|invariant| invariant.name);
    for name in names.chain(universal.map(|check| check.name)) {
        assert!(held.contains(name), "{name} is not asked");
    }
    sandbox.wait_until_clean();
}

#[test]
fn an_unlocked_shop_in_python_is_caught() {
    let sandbox = Sandbox::new();
    let run = "run concurrent-buyers --buyers 200 --stock 1,50 --format json";
    let Some(output) = with_shop(&sandbox, run, "shop_unlocked.py") else {
        return;
    };
    assert_exit(&output, 1);
    let violated = findings(&report(&output), "violated");
    for name in [
        "stock-gone-is-purchases",
        "stock-gone-is-answers",
        "expected-answers",
    ] {
        assert!(violated.contains(name), "{violated:?}");
    }
    sandbox.wait_until_clean();
}

#[test]
fn a_shop_in_python_that_decides_by_a_stale_read_is_caught() {
    let sandbox = Sandbox::new();
    let run = "run concurrent-buyers --buyers 200 --stock 1,50 --format json";
    let Some(output) = with_shop(&sandbox, run, "shop_stale.py") else {
        return;
    };
    assert_exit(&output, 1);
    sandbox.wait_until_clean();
}

#[test]
fn a_right_shop_without_purchase_rows_is_right_and_the_checks_that_need_them_are_named() {
    let sandbox = Sandbox::new();
    let verify = "verify --buyers 200 --stock 1,50 --format json";
    let Some(output) = with_shop(&sandbox, verify, "shop_no_purchases.py") else {
        return;
    };
    assert_exit(&output, 0);
    let report = report(&output);
    let not_applicable = findings(&report, "not_applicable");
    let held = findings(&report, "holds");
    for name in [
        "stock-gone-is-purchases",
        "balance-gone-is-prices",
        "acknowledged-is-purchased",
        "purchased-is-answered",
        "one-receipt-per-key",
        "with keys",
    ] {
        assert!(
            not_applicable.contains(name) && !held.contains(name),
            "{name}"
        );
    }
    for name in [
        "stock-gone-is-answers",
        "balance-gone-is-answers",
        "out-of-stock-was-true",
    ] {
        assert!(held.contains(name), "{name}");
    }
    sandbox.wait_until_clean();
}

/// The scenarios' trials and the fault campaign's cases are all judged.
#[test]
fn a_right_shop_that_refuses_in_its_own_words_is_right_and_what_cannot_be_told_apart_is_named() {
    let sandbox = Sandbox::new();
    let verify = "verify --buyers 200 --stock 1,50 --format json";
    let Some(output) = with_shop(&sandbox, verify, "shop_unstated.py") else {
        return;
    };
    assert_exit(&output, 0);
    let report = report(&output);
    let not_applicable = findings(&report, "not_applicable");
    let held = findings(&report, "holds");
    for name in [
        "out-of-stock-was-true",
        "insufficient-balance-was-true",
        "unknown-was-true",
    ] {
        assert!(not_applicable.contains(name), "{name}");
    }
    for name in [
        "refusal-was-true",
        "expected-answers",
        "expected-answers-in-turn",
        "retry-ends-it",
        "linearizable",
    ] {
        assert!(held.contains(name), "{name}");
    }
    sandbox.wait_until_clean();
}

#[test]
fn a_refusal_that_was_not_true_is_caught_although_it_tells_no_reason() {
    let sandbox = Sandbox::new();
    let run = "run concurrent-buyers --buyers 200 --stock 150 --format json";
    let Some(output) = with_shop(&sandbox, run, "shop_hasty.py") else {
        return;
    };
    assert_exit(&output, 1);
    let violated = findings(&report(&output), "violated");
    for name in ["refusal-was-true", "expected-answers", "linearizable"] {
        assert!(violated.contains(name), "{violated:?}");
    }
    sandbox.wait_until_clean();
}

#[test]
fn a_right_shop_that_waits_for_nobody_gives_way_by_whatever_status_says_so() {
    for status in ["423", "429"] {
        let sandbox = Sandbox::new();
        let run = "run concurrent-buyers --buyers 200 --stock 150 --format json";
        let shop = ["env", &format!("STATUS={status}")];
        let Some(output) = with_shop_in(&sandbox, run, &shop, "shop_nowait.py") else {
            return;
        };
        assert_exit(&output, 0);
        let report = report(&output);
        let gave_way = &report["scenarios"][0]["trials"][0]["gave_way"];
        assert!(gave_way.as_u64().unwrap() > 0, "{status}: {report:#}");
        sandbox.wait_until_clean();
    }
}

/// What `rowlock` says of a program that it cannot use.
fn refusal(service: &str) -> String {
    let sandbox = Sandbox::new();
    let mut rowlock = sandbox.rowlock("run balance-edge --postgres local --start-timeout-s 1");
    let output = rowlock.args(["--service-cmd", service]).output().unwrap();
    assert_exit(&output, 3);
    assert_eq!(stdout(&output), "");
    sandbox.wait_until_clean();
    stderr(&output)
}

#[test]
fn a_program_that_ends_at_once_is_named_with_its_status_and_its_last_words() {
    let error = refusal("sh -c 'echo no such table >&2; exit 7'");
    assert!(
        error.contains("ended before it answered on $PORT (exit status: 7)"),
        "{error}"
    );
    assert!(error.contains("no such table"), "{error}");
    let again = error.lines().last().unwrap();
    assert!(
        again.starts_with("  rowlock run balance-edge --seed 0x"),
        "{error}"
    );
}

#[test]
fn a_program_that_never_listens_is_given_up_and_ended_with_its_children() {
    let error = refusal("sh -c 'echo thinking; sleep 600 & setsid sleep 600 & wait'");
    assert!(
        error.contains("gave no HTTP answer on $PORT within 1 s"),
        "{error}"
    );
    assert!(error.contains("thinking"), "{error}");
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let error = refusal("/no/such/program --port 1");
    assert!(
        error.contains("cannot run \"/no/such/program\": No such file"),
        "{error}"
    );
}

#[test]
fn a_program_that_answers_but_does_not_sell_is_named() {
    let Some(python) = python() else { return };
    let server = "from http.server import *; import os; \
                  HTTPServer(('127.0.0.1', int(os.environ['PORT'])), BaseHTTPRequestHandler)\
                  .serve_forever()";
    let error = refusal(&shlex::try_join([&*python, "-c", server]).unwrap());
    assert!(error.contains("the target does not sell"), "{error}");
}
