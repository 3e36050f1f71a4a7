//! Services of our own with a contract each, and `rowlock` run on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Instant;

use rowlock_testing::tool::{django, node_modules, python_with};

use crate::common::{Sandbox, assert_exit, stdout};

/// Within so many schedules every race here is found.
const SCHEDULES: usize = 20;

/// What a service runs on.
#[derive(Clone, Copy)]
pub(crate) enum Platform {
    Node,
    Asyncpg,
    Psycopg,
    Django,
}

impl Platform {
    /// The variables by which a contract finds it; nothing where it is missing.
    pub(crate) fn env(self) -> Option<(&'static str, PathBuf)> {
        const PYTHON: &str = "ROWLOCK_TEST_PYTHON";
        match self {
            Platform::Node => Some(("NODE_PATH", node_modules()?)),
            Platform::Asyncpg => Some((PYTHON, python_with(&["asyncpg"])?.into())),
            Platform::Psycopg => Some((PYTHON, python_with(&["psycopg"])?.into())),
            Platform::Django => Some((PYTHON, django()?.into())),
        }
    }
}

/// A service in one variant.
#[derive(Clone, Copy)]
pub(crate) struct Subject {
    platform: Platform,
    pub(crate) name: &'static str,
    variant: &'static str,
}

pub(crate) const SEATS: Subject = Subject::new(Platform::Node, "seats");
pub(crate) const TRANSFERS: Subject = Subject::new(Platform::Django, "transfers");
pub(crate) const COUPONS: Subject = Subject::new(Platform::Asyncpg, "coupons");
pub(crate) const ORDERS: Subject = Subject::new(Platform::Node, "orders");

pub(crate) const EMPORIUM: Subject = Subject::new(Platform::Psycopg, "emporium");

pub(crate) const PATIENCE: Subject = Subject::new(Platform::Node, "patience");

pub(crate) const LIMITS: Subject = Subject::new(Platform::Psycopg, "limits");

impl Subject {
    pub(crate) const fn new(platform: Platform, name: &'static str) -> Subject {
        Subject {
            platform,
            name,
            variant: "right",
        }
    }

    pub(crate) fn variant(self, variant: &'static str) -> Subject {
        Subject { variant, ..self }
    }

    pub(crate) fn directory(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/subjects")
            .join(self.name)
    }

    /// `rowlock` with the subject's contract and these arguments.
    pub(crate) fn rowlock(self, sandbox: &Sandbox, arguments: &[&str]) -> Option<Output> {
        let contract = self.directory().join("rowlock.toml");
        let contract = ["--contract".as_ref(), contract.as_os_str()];
        self.with_contract(sandbox, &contract, arguments)
    }

    /// The same with variables beside.
    pub(crate) fn rowlock_with(
        self,
        sandbox: &Sandbox,
        variables: &[(&str, &str)],
        arguments: &[&str],
    ) -> Option<Output> {
        let contract = self.directory().join("rowlock.toml");
        let contract = ["--contract".as_ref(), contract.as_os_str()];
        self.run(sandbox, &contract, variables, arguments)
    }

    pub(crate) fn with_contract(
        self,
        sandbox: &Sandbox,
        contract: &[&std::ffi::OsStr],
        arguments: &[&str],
    ) -> Option<Output> {
        self.run(sandbox, contract, &[], arguments)
    }

    fn run(
        self,
        sandbox: &Sandbox,
        contract: &[&std::ffi::OsStr],
        variables: &[(&str, &str)],
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
            .envs(variables.iter().copied())
            .current_dir(self.directory());
        Some(rowlock.output().unwrap())
    }

    /// Explores one program, the first unless named, and says what came of it.
    pub(crate) fn explore(self, program: &[&str], code: i32) -> Option<String> {
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
    pub(crate) fn is_valid(self, program: &[&str]) {
        if let Some(report) = self.explore(program, 0) {
            assert!(report.contains("\nvalid\n"), "{report}");
        }
    }

    /// A violation is found soon, shrunk, and comes again each time.
    pub(crate) fn is_violated(self, what: &str) {
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

pub(crate) fn number_of_schedule(report: &str) -> usize {
    let (_, after) = report.split_once("(number ").unwrap();
    let (number, _) = after.split_once(')').unwrap();
    number.parse().unwrap()
}

/// Coupons that do not wait for a row.
pub(crate) fn hasty_contract(sandbox: &Sandbox, status: &str, rule: &str) -> PathBuf {
    coupons_contract(
        sandbox,
        &format!("env = {{ VARIANT = \"hasty\", STATUS = \"{status}\" }}"),
        "SUMMER",
        rule,
    )
}

pub(crate) fn coupons_contract(
    sandbox: &Sandbox,
    service: &str,
    code: &str,
    call: &str,
) -> PathBuf {
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

pub(crate) fn explore_file(sandbox: &Sandbox, contract: &Path) -> Option<Output> {
    let witnesses = tempfile::tempdir().unwrap();
    let witnesses = witnesses.path().to_str().unwrap();
    let contract = ["--contract".as_ref(), contract.as_os_str()];
    COUPONS.with_contract(sandbox, &contract, &["explore", "--witness-dir", witnesses])
}
