//! The explorer on services of other shapes than the shop's, each described by a contract.
//!
//! They are in `subjects/`, each right in one variant and wrong in others.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Instant;

use common::{Sandbox, assert_exit, stderr, stdout};
use rowlock_testing::tool::{django, node_modules, python_with};

/// Within so many schedules every race here is found.
const SCHEDULES: usize = 20;

/// What a service runs on.
#[derive(Clone, Copy)]
enum Platform {
    Node,
    Asyncpg,
    Django,
}

impl Platform {
    /// The variables by which a contract finds it; nothing where it is missing.
    fn env(self) -> Option<(&'static str, PathBuf)> {
        const PYTHON: &str = "ROWLOCK_TEST_PYTHON";
        match self {
            Platform::Node => Some(("NODE_PATH", node_modules()?)),
            Platform::Asyncpg => Some((PYTHON, python_with(&["asyncpg"])?.into())),
            Platform::Django => Some((PYTHON, django()?.into())),
        }
    }
}

/// A service in one variant.
#[derive(Clone, Copy)]
struct Subject {
    platform: Platform,
    name: &'static str,
    variant: &'static str,
}

const SEATS: Subject = Subject::new(Platform::Node, "seats");
const TRANSFERS: Subject = Subject::new(Platform::Django, "transfers");
const COUPONS: Subject = Subject::new(Platform::Asyncpg, "coupons");
const ORDERS: Subject = Subject::new(Platform::Node, "orders");

impl Subject {
    const fn new(platform: Platform, name: &'static str) -> Subject {
        Subject {
            platform,
            name,
            variant: "right",
        }
    }

    fn variant(self, variant: &'static str) -> Subject {
        Subject { variant, ..self }
    }

    fn directory(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/subjects")
            .join(self.name)
    }

    /// `rowlock` with the subject's contract and these arguments.
    fn rowlock(self, sandbox: &Sandbox, arguments: &[&str]) -> Option<Output> {
        let contract = self.directory().join("rowlock.toml");
        let contract = ["--contract".as_ref(), contract.as_os_str()];
        self.with_contract(sandbox, &contract, arguments)
    }

    fn with_contract(
        self,
        sandbox: &Sandbox,
        contract: &[&std::ffi::OsStr],
        arguments: &[&str],
    ) -> Option<Output> {
        let (name, value) = self.platform.env()?;
        let mut rowlock = sandbox.rowlock("");
        rowlock
            .args(arguments)
            .args(contract)
            .args(["--postgres", "local"]);
        rowlock
            .env(name, value)
            .env("VARIANT", self.variant)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(self.directory());
        Some(rowlock.output().unwrap())
    }

    /// Explores one program, the first unless named, and says what came of it.
    fn explore(self, program: &[&str], code: i32) -> Option<String> {
        let sandbox = Sandbox::new();
        let witnesses = tempfile::tempdir().unwrap();
        let directory = witnesses.path().to_str().unwrap();
        let arguments = [&["explore"], program, &["--witness-dir", directory]].concat();
        let output = self.rowlock(&sandbox, &arguments)?;
        assert_exit(&output, code);
        sandbox.wait_until_clean();
        Some(stdout(&output))
    }

    /// Every interleaving of two actors is as one after another.
    fn is_valid(self, program: &[&str]) {
        if let Some(report) = self.explore(program, 0) {
            assert!(report.contains("\nvalid\n"), "{report}");
        }
    }

    /// A violation is found soon, shrunk, and comes again each time.
    fn is_violated(self, what: &str) {
        let sandbox = Sandbox::new();
        let witnesses = tempfile::tempdir().unwrap();
        let directory = witnesses.path().to_str().unwrap();
        let began = Instant::now();
        let explore = ["explore", "--witness-dir", directory];
        let Some(output) = self.rowlock(&sandbox, &explore) else {
            return;
        };
        assert_exit(&output, 1);
        let report = stdout(&output);
        let found = number_of_schedule(&report);
        println!(
            "{} {}: schedule {found}, all of it {:.1} s",
            self.name,
            self.variant,
            began.elapsed().as_secs_f64()
        );
        assert!(found <= SCHEDULES, "{report}");
        for word in [what, "shrunk:   in ", "replayed: once, violated again: "] {
            assert!(report.contains(word), "{word}: {report}");
        }
        let again = self.rowlock(&sandbox, &["replay", "--times", "20", directory]);
        let again = again.unwrap();
        assert_exit(&again, 1);
        assert!(
            stdout(&again).contains("20 of 20 violated"),
            "{}",
            stdout(&again)
        );
        sandbox.wait_until_clean();
    }
}

fn number_of_schedule(report: &str) -> usize {
    let (_, after) = report.split_once("(number ").unwrap();
    let (number, _) = after.split_once(')').unwrap();
    number.parse().unwrap()
}

#[test]
fn seats_that_are_locked_are_valid_in_every_interleaving() {
    SEATS.is_valid(&[]);
    SEATS.is_valid(&["neighbours"]);
}

#[test]
fn a_seat_that_two_take_is_found() {
    SEATS
        .variant("wrong")
        .is_violated("actor A and actor B both read taken_by = null, and neither held the row");
}

#[test]
fn transfers_in_two_processes_that_lock_both_accounts_are_valid_in_every_interleaving() {
    TRANSFERS.is_valid(&[]);
}

#[test]
fn a_balance_that_is_saved_as_it_was_read_is_found() {
    TRANSFERS
        .variant("wrong")
        .is_violated("money is kept: after == before");
}

/// It makes its schema itself, with UUIDs for keys and times of its own.
#[test]
fn coupons_that_are_locked_are_valid_in_every_interleaving() {
    COUPONS.is_valid(&[]);
    COUPONS.is_valid(&["plenty"]);
}

#[test]
fn a_coupon_that_is_redeemed_once_too_often_is_found() {
    COUPONS
        .variant("wrong")
        .is_violated("A then B does not leave redemption");
}

/// The lines of an order refer to it by an id that a sequence makes.
#[test]
fn orders_through_two_requests_are_valid_in_every_interleaving() {
    ORDERS.is_valid(&[]);
}

#[test]
fn a_race_of_two_checkouts_is_found() {
    ORDERS.variant("wrong").is_violated("product ink stock = 0");
}

#[test]
fn a_race_between_two_requests_of_one_story_is_found() {
    ORDERS
        .variant("between")
        .is_violated("product ink stock = 0");
}

#[test]
fn contracts_of_one_call_are_short() {
    for subject in [SEATS, TRANSFERS, COUPONS] {
        let text = fs::read_to_string(subject.directory().join("rowlock.toml")).unwrap();
        let lines = text.lines().count();
        assert!(lines <= 25, "{}: {lines} lines", subject.name);
    }
}

#[test]
fn what_a_service_remembers_outside_its_database_is_no_violation_and_is_said() {
    if let Some(report) = COUPONS.variant("memory").explore(&[], 4) {
        let said = "the service remembers something outside its database";
        assert!(report.contains(said), "{report}");
    }
}

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

/// Coupons that do not wait for a row.
fn hasty_contract(sandbox: &Sandbox, status: &str, rule: &str) -> PathBuf {
    coupons_contract(
        sandbox,
        &format!("env = {{ VARIANT = \"hasty\", STATUS = \"{status}\" }}"),
        "SUMMER",
        rule,
    )
}

fn coupons_contract(sandbox: &Sandbox, service: &str, code: &str, call: &str) -> PathBuf {
    let file = sandbox.path().join("rowlock.toml");
    let directory = COUPONS.directory();
    let text = format!(
        r#"[service]
command = ["${{env.ROWLOCK_TEST_PYTHON}}", "server.py"]
directory = "{}"
{service}
[calls.redeem]
path = "/redeem"
json = {{ code = "{code}", customer = "${{actor}}" }}
{call}
[actors.ada]
[actors.bob]
"#,
        directory.display()
    );
    fs::write(&file, text).unwrap();
    file
}

fn explore_file(sandbox: &Sandbox, contract: &Path) -> Option<Output> {
    let witnesses = tempfile::tempdir().unwrap();
    let witnesses = witnesses.path().to_str().unwrap();
    let contract = ["--contract".as_ref(), contract.as_os_str()];
    COUPONS.with_contract(sandbox, &contract, &["explore", "--witness-dir", witnesses])
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
