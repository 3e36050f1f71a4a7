//! The shop by a contract, without its model and its invariants: the verdicts are the shop's.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::common::{Sandbox, assert_exit, stdout};

const PROGRAMS: [&str; 7] = [
    "one-item",
    "one-wallet-two-items",
    "crosswise",
    "repeated-key",
    "double-click",
    "double-click-half-keyed",
    "double-click-refused",
];

/// Explores a program on ours, or on a mutant or lawful service of that name.
fn explore(variant: Option<&str>, program: &str, replicas: usize, code: i32) -> String {
    rowlock(&format!("explore {program}"), variant, replicas, code)
}

fn rowlock(arguments: &str, variant: Option<&str>, replicas: usize, code: i32) -> String {
    let sandbox = Sandbox::new();
    let directory = tempfile::tempdir().unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/contracts");
    let text = fs::read_to_string(examples.join("shop.toml")).unwrap();
    assert!(text.contains("\nreplicas = 1\n"), "it says how many");
    let text = text.replace("\nreplicas = 1\n", &format!("\nreplicas = {replicas}\n"));
    let contract = directory.path().join("shop.toml");
    fs::write(&contract, text).unwrap();
    let mutant = variant.map_or(String::new(), |name| format!(" --mutant {name}"));
    let mut rowlock = sandbox.rowlock(arguments);
    rowlock
        .current_dir(directory.path())
        .args(["--postgres", "local", "--contract"])
        .arg(&contract)
        .env(
            "SHOP",
            format!("{} target{mutant}", env!("CARGO_BIN_EXE_rowlock")),
        );
    let output = rowlock.output().unwrap();
    assert_exit(&output, code);
    sandbox.wait_until_clean();
    stdout(&output)
}

#[test]
fn our_service_is_valid_in_every_program() {
    for program in PROGRAMS {
        let report = explore(None, program, 1, 0);
        assert!(report.contains("\nvalid\n"), "{program}: {report}");
    }
}

#[test]
fn mutants_fall_to_the_serial_oracle() {
    for (mutant, program, replicas) in [
        ("unlocked-absolute-write", "one-item", 1),
        ("lock-in-autocommit", "one-item", 1),
        ("stale-after-lock", "one-item", 1),
        ("unlocked-wallet", "one-wallet-two-items", 1),
        ("key-checked-apart", "repeated-key", 1),
        ("process-mutex", "one-item", 2),
    ] {
        let report = explore(Some(mutant), program, replicas, 1);
        assert!(report.contains("    serial-order: "), "{mutant}: {report}");
    }
}

#[test]
fn a_header_for_keys_is_a_promise_that_is_checked() {
    let report = explore(Some("charge-before-key"), "repeated-key", 1, 1);
    let violated = "repeated-key-changes-nothing: what is sent again under its idempotency key";
    assert!(report.contains(violated), "{report}");
    assert!(
        report.contains(
            "ada buy_keyed again under the same key, after the first was answered: A alone leaves"
        ),
        "{report}"
    );
}

#[test]
fn verify_writes_what_all_its_parts_came_to_as_one_document() {
    let sandbox = Sandbox::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/contracts");
    let text = fs::read_to_string(examples.join("shop.toml")).unwrap();
    let (first, _) = text.split_once("# One user buys two items").unwrap();
    let contract = sandbox.path().join("shop.toml");
    let xml = sandbox.path().join("junit.xml");
    fs::write(&contract, first).unwrap();
    let mut rowlock = sandbox.rowlock(
        "verify --postgres local --format json --actors 20 --request-timeout-s 30 --seed 5",
    );
    rowlock
        .arg("--contract")
        .arg(&contract)
        .arg("--junit")
        .arg(&xml);
    let service = format!(
        "{} target --mutant function-call",
        env!("CARGO_BIN_EXE_rowlock")
    );
    let output = rowlock.env("SHOP", service).output().unwrap();
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let parts = report["parts"].as_array().unwrap();
    let command = |part: &serde_json::Value| part["command"].as_str().unwrap().to_owned();
    let commands: Vec<_> = parts.iter().map(command).collect();
    for (command, begin) in commands.iter().zip([
        "rowlock explore one-item",
        "rowlock run burst --actors 20",
        "rowlock faults",
    ]) {
        assert!(command.starts_with(begin), "{commands:?}");
        let is_patient = command.contains(" --request-timeout-s 30");
        assert_eq!(is_patient, !command.contains("explore"), "{command}");
    }
    assert!(
        parts[0]["report"]["schedules"].as_u64().unwrap() > 0,
        "{report}"
    );
    assert_eq!(parts[1]["report"]["actors"], 20);
    assert!(!parts[2]["report"]["played"].as_array().unwrap().is_empty());
    let xml = fs::read_to_string(xml).unwrap();
    for suite in ["explore one-item", "burst one-item", "A"] {
        assert!(
            xml.contains(&format!("<testsuite name=\"{suite}\"")),
            "{xml}"
        );
    }
    assert_exit(&output, 0);
    fs::remove_file(contract).unwrap();
    fs::remove_file(sandbox.path().join("junit.xml")).unwrap();
    sandbox.wait_until_clean();
}

#[test]
fn no_lawful_service_is_accused() {
    for lawful in [
        "conditional-update",
        "advisory-lock",
        "optimistic-version",
        "function-call",
    ] {
        let report = explore(Some(lawful), "one-item", 1, 0);
        assert!(report.contains("\nvalid\n"), "{lawful}: {report}");
    }
}

#[test]
fn a_burst_counts_every_answer_and_says_how_many_stories_were_ok_in_a_second() {
    let burst = "run burst --program one-item --actors 60";
    let report = rowlock(&format!("{burst} --format json"), None, 1, 0);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let object = report.as_object().unwrap();
    let keys: BTreeSet<_> = object.keys().map(String::as_str).collect();
    let known = [
        "program",
        "actors",
        "answers",
        "course",
        "gave_way",
        "p50_us",
        "p99_us",
        "stories_per_second",
        "findings",
        "verdict",
    ];
    assert_eq!(keys, BTreeSet::from(known));
    let answers = object["answers"].as_object().unwrap().values();
    let answered: u64 = answers.map(|count| count.as_u64().unwrap()).sum();
    assert_eq!((answered, object["actors"].as_u64()), (60, Some(60)));
    let number = |key: &str| object[key].as_f64().unwrap();
    assert!(number("stories_per_second") > 0.0, "{report:#}");
    assert!(0.0 < number("p50_us") && number("p50_us") <= number("p99_us"));
    let text = rowlock(burst, None, 1, 0);
    let said = text.lines().nth(1).unwrap();
    assert!(said.contains(" stories ok per second; p50 "), "{text}");
    assert!(said.ends_with(" 0 calls gave way"), "{text}");
}
