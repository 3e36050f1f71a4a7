//! What contracts say beside a command and calls, and what they say wrongly.

use std::fs;

use crate::common::{Sandbox, assert_exit, stderr, stdout};
use crate::subject_support::{
    Platform, SEATS, TRANSFERS, coupons_contract, explore_file, hasty_contract,
};

#[test]
fn a_service_may_give_way_by_the_statuses_that_say_so() {
    for status in ["409", "423", "429"] {
        let sandbox = Sandbox::new();
        let contract = hasty_contract(&sandbox, status, "");
        let Some(output) = explore_file(&sandbox, &contract) else {
            return;
        };
        assert_exit(&output, 0);
    }
}

#[test]
fn a_refusal_that_no_order_tells_names_the_line_that_would_call_it_a_conflict() {
    let sandbox = Sandbox::new();
    let contract = hasty_contract(&sandbox, "400", "");
    let Some(output) = explore_file(&sandbox, &contract) else {
        return;
    };
    assert_exit(&output, 1);
    let rule = "answers = [{ status = 400, means = \"conflict\" }]";
    let report = stdout(&output);
    assert!(
        report.contains(&format!("`{rule}` of call `redeem`")),
        "{report}"
    );
    let contract = hasty_contract(&sandbox, "400", rule);
    let output = explore_file(&sandbox, &contract).unwrap();
    assert_exit(&output, 0);
}

#[test]
fn an_invariant_that_asks_for_what_is_not_there_is_wrong() {
    let sandbox = Sandbox::new();
    let typo = "[[invariants]]\nname = \"typo\"\nviolations = \"select * from copon\"\n";
    let contract = coupons_contract(&sandbox, "", "SUMMER", typo);
    let Some(output) = explore_file(&sandbox, &contract) else {
        return;
    };
    assert_exit(&output, 2);
    let said = stderr(&output);
    for words in ["rowlock.toml: invariants: ", "\"copon\" does not exist"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_contract_whose_story_is_not_ok_alone_is_wrong() {
    let sandbox = Sandbox::new();
    let contract = coupons_contract(&sandbox, "", "WINTER", "");
    let Some(output) = explore_file(&sandbox, &contract) else {
        return;
    };
    assert_exit(&output, 2);
    let said = stderr(&output);
    for words in ["rowlock.toml:5: calibration: ", "404 refused"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn what_a_contract_lacks_is_told_before_anything_starts() {
    let sandbox = Sandbox::new();
    for (service, call, said) in [
        ("env = { A = \"${env.NOBODY_SETS_IT}\" }", "", ":4: "),
        ("replica = 2", "", ":4: service.replica: unknown key"),
        ("", "with = [", ":9: "),
    ] {
        let contract = coupons_contract(&sandbox, service, "SPRING", call);
        let Some(output) = explore_file(&sandbox, &contract) else {
            return;
        };
        assert_exit(&output, 2);
        let errors = stderr(&output);
        assert!(
            errors.contains(&format!("rowlock.toml{said}")),
            "{said}: {errors}"
        );
        assert_eq!(stdout(&output), "", "nothing was started");
    }
}

#[test]
fn a_program_that_a_contract_lacks_is_told_before_anything_starts() {
    let sandbox = Sandbox::new();
    let Some(output) = SEATS.rowlock(&sandbox, &["explore", "two seats"]) else {
        return;
    };
    assert_exit(&output, 2);
    let errors = stderr(&output);
    for words in ["has no program \"two seats\"", "rowlock.toml:17)"] {
        assert!(errors.contains(words), "{words}: {errors}");
    }
    assert_eq!(stdout(&output), "", "nothing was started");
}

#[test]
fn a_contract_above_the_working_directory_is_found() {
    let sandbox = Sandbox::new();
    let Some((name, value)) = Platform::Django.env() else {
        return;
    };
    let mut rowlock = sandbox.rowlock("explore --postgres local");
    rowlock
        .env(name, value)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(TRANSFERS.directory().join("bank"));
    let output = rowlock.output().unwrap();
    assert_exit(&output, 0);
    assert!(stdout(&output).contains("tests/subjects/transfers/rowlock.toml"));
}

/// Explores coupons with more in their contract, and says what came of it.
fn explore_coupons(service: &str, call: &str, code: i32) -> Option<String> {
    let sandbox = Sandbox::new();
    let contract = coupons_contract(&sandbox, service, "SUMMER", call);
    let output = explore_file(&sandbox, &contract)?;
    assert_exit(&output, code);
    Some(stdout(&output) + &stderr(&output))
}

#[test]
fn a_body_that_no_order_tells_is_a_violation_where_the_contract_compares_it() {
    let stale = "env = { VARIANT = \"stale\" }";
    let compare = "compare = [\"$.left\"]";
    if let Some(report) = explore_coupons(stale, compare, 1) {
        assert!(report.contains("serial-order: "), "{report}");
    }
    explore_coupons(stale, "", 0);
    explore_coupons("", compare, 0);
}

#[test]
fn what_was_not_compared_and_what_was_taken_for_granted_is_said() {
    let sandbox = Sandbox::new();
    let contract = hasty_contract(&sandbox, "409", "");
    let Some(output) = explore_file(&sandbox, &contract) else {
        return;
    };
    let report = stdout(&output);
    for words in [
        "  gave way: in ",
        "  not compared: redemption.created_at (a time)",
        "  not compared: redemption.id (other values from the same calls)",
        "  left open: no invariant is checked beside the serial oracle",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
}

#[test]
fn statements_that_are_nobodys_take_no_turn() {
    let service = "env = { BACKGROUND = \"1\" }
[database]
background = [{ text = \"LOOKED_AT\" }]";
    if let Some(report) = explore_coupons(service, "", 0) {
        assert!(
            report.contains("of no request: select count(*)"),
            "{report}"
        );
    }
}

#[test]
fn commands_are_run_between_runs() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("restored");
    let restore = |command: &str| format!("[database]\nrestore = [\"{command}\"]");
    let touch = restore(&format!("touch {}", file.display()));
    if explore_coupons(&touch, "", 0).is_none() {
        return;
    }
    assert!(file.exists());
    let report = explore_coupons(&restore("false"), "", 3).unwrap();
    assert!(report.contains("`false` failed"), "{report}");
}

#[test]
fn rows_of_a_program_know_what_each_actor_has() {
    let sandbox = Sandbox::new();
    let contract = coupons_contract(&sandbox, "", "WINTER", "");
    let text = fs::read_to_string(&contract).unwrap();
    let text = text.replace("[actors.bob]", "most = 2\n[actors.bob]");
    let program = r#"[[programs]]
name = "winter"
rows = "insert into coupon values ('WINTER', ${ada.most})"
actors = ["ada", "bob"]
"#;
    fs::write(&contract, text + program).unwrap();
    let Some(output) = explore_file(&sandbox, &contract) else {
        return;
    };
    assert_exit(&output, 0);
}

/// The job begins transactions on new connections, which no text tells from a request's.
#[test]
fn a_connection_that_is_nobodys_takes_no_turn_with_all_that_it_sends() {
    let service = "env = { BACKGROUND = \"connections\" }
[database]
background = [{ application_name = \"looker\" }]";
    if let Some(report) = explore_coupons(service, "", 0) {
        assert!(
            report.contains("of no request: select count(*)"),
            "{report}"
        );
    }
    let other = service.replace("looker\" }", "other\" }");
    let report = explore_coupons(&other, "", 4).unwrap_or_default();
    assert!(report.contains("\ninconclusive\n"), "{report}");
}

#[test]
fn what_a_service_remembers_is_gone_with_a_restart() {
    let sandbox = Sandbox::new();
    let explore = |variant: &str, memory: &str, code: i32| {
        let service =
            format!("env = {{ VARIANT = \"{variant}\" }}\n[database]\nmemory = \"{memory}\"");
        let contract = coupons_contract(&sandbox, &service, "SPRING", "");
        let output = explore_file(&sandbox, &contract)?;
        assert_exit(&output, code);
        Some(stdout(&output))
    };
    if explore("keeps", "restart", 0).is_some() {
        let report = explore("keeps", "keep", 4).unwrap();
        assert!(report.contains("remembers something outside"), "{report}");
        let report = explore("memory", "restart", 1).unwrap();
        assert!(report.contains("\nVIOLATION\n"), "{report}");
    }
}
