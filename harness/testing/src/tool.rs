//! Tools that a test needs and a machine may lack.
//!
//! A test whose tool is missing says so and does nothing. Where `ROWLOCK_TEST_REQUIRE` names the
//! tool (`ROWLOCK_TEST_REQUIRE=python,docker`), it fails instead.

use std::env;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that names the tools which must be there, separated by commas.
const REQUIRE: &str = "ROWLOCK_TEST_REQUIRE";

/// A tool that a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Python with psycopg 3 and asyncpg, for targets that are foreign programs.
    Python,
    /// A Docker engine, and the image of PostgreSQL.
    Docker,
    /// Chromium and chromedriver.
    Chromium,
    /// The source of axe-core, as `ci/setup` unpacks it.
    Axe,
    /// Node, and the package `pg` with what it needs, as `ci/setup` installs it.
    Node,
    /// Django, psycopg 2 and gunicorn, for the same Python.
    Django,
}

impl Tool {
    const ALL: [Tool; 6] = [
        Tool::Python,
        Tool::Docker,
        Tool::Chromium,
        Tool::Axe,
        Tool::Node,
        Tool::Django,
    ];

    /// Its name in `ROWLOCK_TEST_REQUIRE`.
    fn name(self) -> &'static str {
        match self {
            Tool::Python => "python",
            Tool::Docker => "docker",
            Tool::Chromium => "chromium",
            Tool::Axe => "axe",
            Tool::Node => "node",
            Tool::Django => "django",
        }
    }

    /// Says on standard output that this tool is missing, and so a test is not run.
    ///
    /// # Panics
    /// Where `ROWLOCK_TEST_REQUIRE` names this tool, or one that there is not.
    #[track_caller]
    pub fn is_missing(self, why: impl Display) {
        let required = env::var(REQUIRE).unwrap_or_default();
        match self.missing(&required) {
            Ok(()) => println!("not run: {why}"),
            Err(must) => panic!("{must}: {why}"),
        }
    }

    /// An error if it may not be missing where these are `required`.
    fn missing(self, required: &str) -> Result<(), String> {
        let names = required.split(',').map(str::trim);
        for name in names.filter(|name| !name.is_empty()) {
            if Tool::ALL.iter().all(|tool| tool.name() != name) {
                let known = Tool::ALL.map(Tool::name).join(", ");
                return Err(format!(
                    "{REQUIRE} names {name:?}, and the tools are {known}"
                ));
            }
            if self.name() == name {
                return Err(format!("{REQUIRE} names {name}, which is missing"));
            }
        }
        Ok(())
    }
}

/// The interpreter that has psycopg: `ROWLOCK_TEST_PYTHON`, or `python3`; `None` where it is missing.
#[track_caller]
pub fn python() -> Option<String> {
    python_with(&["psycopg"])
}

/// The same interpreter, if it has all of `modules`.
#[track_caller]
pub fn python_with(modules: &[&str]) -> Option<String> {
    interpreter(Tool::Python, modules)
}

/// The same interpreter, if it has Django, psycopg 2 and gunicorn.
#[track_caller]
pub fn django() -> Option<String> {
    interpreter(Tool::Django, &["django", "psycopg2", "gunicorn"])
}

#[track_caller]
fn interpreter(tool: Tool, modules: &[&str]) -> Option<String> {
    let python = env::var("ROWLOCK_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let modules = modules.join(", ");
    let import = format!("import {modules}");
    let imports = Command::new(&python).args(["-c", &import]).output();
    if imports.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    tool.is_missing(format!("{python} lacks one of: {modules}"));
    None
}

/// Where Node finds `pg`: its `NODE_PATH`; `None` where Node or the package is missing.
#[track_caller]
pub fn node_modules() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let modules = root.join("target/node-pg/node_modules");
    match (on_path("node"), modules.canonicalize()) {
        (None, _) => Tool::Node.is_missing("node is not on PATH"),
        (_, Err(error)) => Tool::Node.is_missing(format!("ci/setup has not installed pg: {error}")),
        (Some(_), Ok(modules)) => return Some(modules),
    }
    None
}

/// Where Chromium is, if chromedriver is there, too; `None` where one of them is missing.
#[track_caller]
pub fn chromium() -> Option<PathBuf> {
    match (on_path("chromium"), on_path("chromedriver")) {
        (Some(chromium), Some(_)) => Some(chromium),
        _ => {
            Tool::Chromium.is_missing("chromium and chromedriver are not both on PATH");
            None
        }
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_nobody_requires_may_be_missing() {
        assert_eq!(Tool::Docker.missing(""), Ok(()));
        assert_eq!(Tool::Docker.missing("python, chromium"), Ok(()));
    }

    #[test]
    fn a_tool_that_is_required_may_not_be_missing() {
        let error = Tool::Docker.missing("python, docker").unwrap_err();
        assert_eq!(error, "ROWLOCK_TEST_REQUIRE names docker, which is missing");
    }

    /// A slip of the pen would require nothing.
    #[test]
    fn a_name_that_no_tool_has_is_an_error() {
        let error = Tool::Docker.missing("pyton").unwrap_err();
        assert_eq!(
            error,
            "ROWLOCK_TEST_REQUIRE names \"pyton\", and the tools are python, docker, chromium, axe, \
             node, django"
        );
    }
}
