//! What every kind of run has in common: its server, its target, its end by a signal, and the
//! flags that make it again.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::{Provider, Server, Settings};

use super::exit_code::{self, Exit};
use super::output;
use super::stop::stop_signal;
use super::{CommonArgs, PostgresArgs, REQUEST_TIMEOUT_S};
use crate::progress::Progress;
use crate::setting::Setting;
use crate::target::TargetSpec;

/// Colours are for terminals, and not for who sets NO_COLOR to anything (no-color.org).
pub(super) fn wants_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !refused
}

/// Waits for `run` or the first signal. Either way, everything that was started is gone before
/// this returns. Where nothing is concluded, it says so with `again`, the command line that
/// makes the same run, and gives the exit code.
pub(super) async fn conclude<T>(
    run: impl Future<Output = anyhow::Result<T>>,
    progress: &Progress,
    again: &str,
) -> anyhow::Result<Result<T, ExitCode>> {
    let interrupted = stop_signal()?;
    let done = tokio::select! {
        biased;
        () = interrupted => None,
        done = run => Some(done),
    };
    progress.finish();
    let (why, code) = match done {
        Some(Ok(done)) => return Ok(Ok(done)),
        Some(Err(error)) => {
            let exit = Exit::of_error(&error);
            (format!("error: {error:#}"), exit)
        }
        None => ("interrupted".into(), Exit::Interrupted),
    };
    output::complain(&format!(
        "{why}\nnothing is concluded; to try again:\n  rowlock {again}"
    ));
    Ok(Err(code.into()))
}

/// As [`conclude`], where what is concluded is a verdict: the exit code that says it.
pub(super) async fn conclude_verdict(
    run: impl Future<Output = anyhow::Result<Verdict>>,
    progress: &Progress,
    again: &str,
) -> anyhow::Result<ExitCode> {
    Ok(match conclude(run, progress, again).await? {
        Ok(verdict) => exit_code::of(verdict),
        Err(code) => code,
    })
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    match shlex::try_quote(word) {
        Ok(quoted) => quoted.into_owned(),
        Err(_) => word.to_owned(),
    }
}

/// What fails after a violation was `found` is said, and takes nothing from it; else it is an
/// error.
pub(super) fn unless_found(
    found: bool,
    done: Result<(), impl Into<anyhow::Error>>,
) -> anyhow::Result<()> {
    match done.map_err(Into::into) {
        Err(error) if found => {
            output::complain(&format!("error: {error:#}"));
            Ok(())
        }
        done => done,
    }
}

/// Writes what `render` gives to `path`, if there is one.
pub(super) fn write_junit<E: std::error::Error + Send + Sync + 'static>(
    path: Option<&Path>,
    render: impl FnOnce() -> Result<String, E>,
) -> anyhow::Result<()> {
    let Some(path) = path else {
        return Ok(());
    };
    let xml = render().context("the report does not fit into XML")?;
    std::fs::write(path, xml).with_context(|| format!("cannot write {}", path.display()))
}

impl PostgresArgs {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            provider: self.postgres,
            durable: self.durable,
            handles_signals: true,
            ..Settings::from_env()
        }
    }

    /// The same for the explorer: PostgreSQL must not break deadlocks before they are seen.
    pub(super) fn exploring(&self) -> Settings {
        self.breaking_deadlocks_after("1h")
    }

    /// The same for targets with short timeouts of their own, which must not be up before it breaks a
    /// deadlock.
    pub(super) fn impatient(&self) -> Settings {
        self.breaking_deadlocks_after("300ms")
    }

    fn breaking_deadlocks_after(&self, timeout: &str) -> Settings {
        let mut settings = self.settings();
        let parameter = ("deadlock_timeout".to_owned(), timeout.to_owned());
        settings.parameters.push(parameter);
        settings
    }

    /// The flags that differ from their defaults, ready to paste.
    pub(super) fn repeat(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if self.postgres != Provider::Auto {
            flags.push(format!("--postgres {}", self.postgres));
        }
        if self.durable {
            flags.push("--durable".into());
        }
        flags
    }
}

impl CommonArgs {
    /// The seed that was given, or a new one.
    pub(super) fn seed(&self) -> Seed {
        self.seed.unwrap_or_else(Seed::from_entropy)
    }

    /// What is run with.
    pub(super) fn setting<'a>(
        &self,
        server: &'a Server,
        target: &'a TargetSpec,
        seed: Seed,
        progress: &'a Progress,
    ) -> Setting<'a> {
        Setting {
            server,
            target,
            target_env: Vec::new(),
            seed,
            patience: Duration::from_secs(self.request_timeout_s),
            progress,
            trace: None,
        }
    }

    /// Writes what `render` gives to where `--junit` says, if it says so.
    pub(super) fn write_junit<E: std::error::Error + Send + Sync + 'static>(
        &self,
        render: impl FnOnce() -> Result<String, E>,
    ) -> anyhow::Result<()> {
        write_junit(self.junit.as_deref(), render)
    }

    /// What is verified.
    pub(super) fn target(&self) -> anyhow::Result<TargetSpec> {
        self.service.processes()
    }

    /// The flags that make the same run again, ready to paste.
    pub(super) fn repeat(&self, seed: Seed) -> String {
        let mut flags = vec![format!("--seed {seed}")];
        flags.extend(self.flags());
        flags.join(" ")
    }

    /// The same but for the seed.
    pub(super) fn flags(&self) -> Vec<String> {
        let mut flags = self.postgres.repeat();
        if self.request_timeout_s != REQUEST_TIMEOUT_S {
            flags.push(format!("--request-timeout-s {}", self.request_timeout_s));
        }
        if self.fail_fast {
            flags.push("--fail-fast".into());
        }
        flags.extend(self.service.repeat());
        flags
    }
}
