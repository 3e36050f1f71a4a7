//! Hunting without a program: which stories can meet, which of them race, and which cannot.

use std::fs;
use std::path::Path;

use crate::common::{Sandbox, assert_exit, stdout};
use crate::subject_support::EMPORIUM;
use rowlock_testing::tool::python;
use serde_json::Value;

/// A contract of the club, whose calls are those that `calls` name, by two actors.
fn contract(python: &str, kind: &str, calls: &[&str]) -> String {
    let club = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/targets/hunt_club.py");
    let calls = calls.iter().map(|call| match *call {
        "redeem" => {
            "[calls.redeem]\npath = \"/redeem\"\njson = { code = \"TEN\", who = \"${actor}\" }\n\
             answers = [{ status = 409, means = \"refused\", reason = \"used_up\" }]\n"
        }
        "move" => "[calls.move]\npath = \"/move\"\njson = { from = \"${from}\", to = \"${to}\" }\n",
        _ => "[calls.note]\npath = \"/note\"\njson = { body = \"${actor}\" }\n",
    });
    format!(
        "[service]\ncommand = \"{python} {}\"\n\
         env = {{ PORT = \"${{port}}\", DATABASE_URL = \"${{database.url}}\", {kind} }}\n{}\
         [actors.alice]\nfrom = 1\nto = 2\n[actors.bob]\nfrom = 2\nto = 1\n",
        club.display(),
        calls.collect::<String>()
    )
}

/// Hunts, and gives the report.
fn hunt(kind: &str, calls: &[&str], arguments: &str, code: i32) -> Option<Value> {
    let python = python()?;
    let sandbox = Sandbox::new();
    let own = tempfile::tempdir().unwrap();
    let file = own.path().join("rowlock.toml");
    fs::write(&file, contract(&python, kind, calls)).unwrap();
    let mut rowlock = sandbox.rowlock(&format!("hunt --postgres local --format json {arguments}"));
    rowlock.arg("--contract").arg(&file);
    rowlock
        .arg("--witness-dir")
        .arg(own.path().join("witnesses"));
    let output = rowlock.output().unwrap();
    assert_exit(&output, code);
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    for group in report["groups"].as_array().unwrap() {
        let orders = group["lock_orders"].as_array().into_iter().flatten();
        let witnesses = orders.map(|order| &order["witness"]);
        for witness in witnesses
            .chain([&group["witness"]])
            .filter_map(Value::as_str)
        {
            let mut replay = sandbox.rowlock("replay --postgres local --times 5");
            replay.arg("--contract").arg(&file).arg(witness);
            assert_exit(&replay.output().unwrap(), 1);
        }
    }
    sandbox.wait_until_clean();
    Some(report)
}

/// What became of each group, by name.
fn ended(report: &Value) -> Vec<(&str, &str)> {
    let groups = report["groups"].as_array().unwrap().iter();
    let ended = groups.map(|group| {
        let text = |key: &str| group[key].as_str().unwrap();
        (text("program"), text("ended"))
    });
    ended.collect()
}

#[test]
fn a_race_is_hunted_down_and_what_touches_other_tables_is_not_run() {
    let Some(report) = hunt("KIND = \"unlocked\"", &["redeem", "note"], "", 1) else {
        return;
    };
    assert_eq!(
        ended(&report),
        [
            ("alice redeem + bob redeem", "violated"),
            ("alice redeem + bob note", "cannot-conflict"),
            ("alice note + bob redeem", "cannot-conflict"),
            ("alice note + bob note", "cannot-conflict"),
        ]
    );
    let race = &report["groups"][0];
    assert_eq!(race["suspicions"][0]["kind"], "read-then-write");
    assert_eq!(race["violated"][0]["check"], "serial-order");
    assert!(race["schedules"].as_u64().unwrap() <= 20, "{race}");
    assert_eq!(
        report["groups"][1]["apart"][0],
        "A and B touch different tables: coupon, redemption and note"
    );
}

#[test]
fn a_right_service_is_valid_with_all_that_cannot_conflict() {
    let Some(report) = hunt("KIND = \"locked\"", &["redeem", "note"], "--all", 0) else {
        return;
    };
    assert_eq!(report["verdict"], "valid");
    let is_run = |group: &Value| group["ended"] == "valid" && group["schedules"].as_u64() > Some(0);
    assert!(
        report["groups"].as_array().unwrap().iter().all(is_run),
        "{report}"
    );
    assert_eq!(ended(&report).len(), 4);
}

#[test]
fn locks_in_opposite_orders_are_named_and_confirmed_by_a_deadlock() {
    let Some(report) = hunt("ORDER = \"asked\"", &["move"], "", 1) else {
        return;
    };
    let group = &report["groups"][0];
    assert_eq!(group["violated"][0]["check"], "no-deadlock");
    let order = &group["lock_orders"][0];
    assert_eq!(
        order["says"],
        "A locks account (id = 1) and then account (id = 2); \
         B locks account (id = 2) and then account (id = 1)"
    );
    assert!(order["deadlocks"].is_string(), "{group}");
}

/// What races before the locks is found first; the deadlock has a witness of its own beside it.
#[test]
fn a_deadlock_beside_another_violation_has_a_witness_of_its_own() {
    let kind = "ORDER = \"asked\", READS = \"1\"";
    let Some(report) = hunt(kind, &["move"], "", 1) else {
        return;
    };
    let group = &report["groups"][0];
    assert_eq!(group["violated"][0]["check"], "serial-order", "{group}");
    let order = &group["lock_orders"][0];
    assert!(order["deadlocks"].is_string(), "{group}");
    assert!(order["witness"].is_string(), "{group}");
    assert_ne!(order["witness"], group["witness"]);
}

#[test]
fn a_long_story_is_hunted_at_its_suspicious_places_and_a_right_one_ends_within_its_budget() {
    let long = |kind| format!("KIND = \"{kind}\", READS = \"60\"");
    let Some(report) = hunt(&long("unlocked"), &["redeem"], "--budget 20", 1) else {
        return;
    };
    assert_eq!(ended(&report), [("alice redeem + bob redeem", "violated")]);
    let report = hunt(&long("locked"), &["redeem"], "--budget 20", 4).unwrap();
    assert_eq!(
        ended(&report),
        [("alice redeem + bob redeem", "not-proven")]
    );
    assert_eq!(
        report["groups"][0]["not_proven"][0],
        "the budget ended before the search did"
    );
}

/// 300 statements, 40 of them in the transaction that matters, of which only the race is to be found
/// here: all schedules of the right one take 20 s in a debug build, and those of a smaller page less.
#[test]
fn what_an_orm_fetches_is_run_in_no_more_orders_than_its_replies_tell_apart() {
    let sandbox = Sandbox::new();
    let witnesses = tempfile::tempdir().unwrap();
    let directory = witnesses.path().to_str().unwrap();
    let hunt = |variant, products, code| {
        let arguments = ["hunt", "--format", "json", "--witness-dir", directory];
        let variables = [("PRODUCTS", products)];
        let subject = EMPORIUM.variant(variant);
        let output = subject.rowlock_with(&sandbox, &variables, &arguments)?;
        assert_exit(&output, code);
        Some(serde_json::from_str::<Value>(&stdout(&output)).unwrap())
    };
    let Some(right) = hunt("right", "2", 0) else {
        return;
    };
    let schedules = right["groups"][0]["schedules"].as_u64();
    assert_eq!(right["groups"][0]["ended"], "valid");
    assert!(schedules < Some(120), "{schedules:?}");
    let wrong = hunt("wrong", "15", 1).unwrap();
    let schedules = wrong["groups"][0]["schedules"].as_u64();
    assert!(schedules <= Some(20), "{schedules:?}");
    sandbox.wait_until_clean();
}

#[test]
fn triples_are_hunted_with_three_calls() {
    let Some(report) = hunt("KIND = \"locked\"", &["redeem"], "--calls 3", 0) else {
        return;
    };
    let names: Vec<_> = ended(&report).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "alice redeem + bob redeem",
            "alice redeem + alice redeem + bob redeem"
        ]
    );
}
