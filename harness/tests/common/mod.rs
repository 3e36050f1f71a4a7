//! The `rowlock` command in a temporary directory of its own, and what is left of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The environment variable by which a sandbox knows its processes again.
const MARK: &str = "ROWLOCK_TEST_SANDBOX";

/// A temporary directory in which everything happens that a command does.
pub(crate) struct Sandbox {
    directory: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Sandbox {
        let directory = tempfile::tempdir().unwrap();
        // PostgreSQL's own user must be able to enter it.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        Sandbox { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// `program` with the sandbox as its temporary directory.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("TMPDIR", self.path())
            .env(MARK, self.path())
            .env_remove("DATABASE_URL")
            .env_remove("GITHUB_ACTIONS")
            .env_remove("GITHUB_STEP_SUMMARY")
            .env_remove("RUST_LOG");
        command
    }

    /// `rowlock` with `arguments`, separated by spaces.
    pub(crate) fn rowlock(&self, arguments: &str) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_rowlock"));
        command.args(arguments.split_whitespace());
        command
    }

    /// What is left of the commands: files of the sandbox, and processes.
    ///
    /// A process is known by its environment, or where it has overwritten that, as PostgreSQL's
    /// do, by its working directory.
    pub(crate) fn remains(&self) -> Vec<String> {
        let files = fs::read_dir(self.path()).unwrap().flatten();
        let files = files.map(|file| file.path().display().to_string());
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let processes = processes.filter_map(|process| self.own(&process.path()));
        files.chain(processes).collect()
    }

    /// Whether a process of the commands has `word` in its command line.
    pub(crate) fn runs(&self, word: &str) -> bool {
        self.remains().iter().any(|line| line.contains(word))
    }

    fn own(&self, process: &Path) -> Option<String> {
        let read = |name| {
            let bytes = fs::read(process.join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let mark = format!("{MARK}={} ", self.path().display());
        let directory = fs::read_link(process.join("cwd")).unwrap_or_default();
        // A zombie has neither.
        let is_own = read("environ").contains(&mark) || directory.starts_with(self.path());
        is_own.then(|| format!("{}: {}", process.display(), read("cmdline")))
    }

    /// Waits until nothing is left of the commands.
    pub(crate) fn wait_until_clean(&self) {
        eventually(
            "nothing is left",
            || self.remains().is_empty(),
            || self.remains(),
        );
    }
}

/// Waits for `condition` with a bound; `state` says what it came to instead.
#[allow(
    clippy::disallowed_methods,
    reason = "the pause between two looks at a condition"
)]
pub(crate) fn eventually<S: std::fmt::Debug>(
    what: &str,
    mut condition: impl FnMut() -> bool,
    state: impl Fn() -> S,
) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "not within 30 s: {what}: {:#?}",
            state()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Fails with all that the command said unless its exit code is `code`.
#[track_caller]
pub(crate) fn assert_exit(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "stdout:\n{}\nstderr:\n{}",
        stdout(output),
        stderr(output)
    );
}
