//! `rowlock verify` and `rowlock run`: scenarios on a server, and their report.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use super::stop::{EXIT_INTERRUPTED, stop_signal};
use super::{Format, PostgresArgs, REQUEST_TIMEOUT_S, RunArgs};
use crate::mutants;
use crate::postgres::{Provider, Server, Settings};
use crate::progress::Progress;
use crate::report::{Report, ScenarioReport, human, json, junit};
use crate::scenario::{SCENARIOS, Scenario, find};
use crate::seed::Seed;
use crate::target::{START_TIMEOUT, TargetSpec};
use crate::verdict::EXIT_ENVIRONMENT;
use crate::world::Setting;

/// Files that a process needs besides its buyers' connections.
const SPARE_FILES: u64 = 200;

pub(super) async fn verify(args: RunArgs) -> anyhow::Result<ExitCode> {
    run_scenarios(SCENARIOS.iter().collect(), args).await
}

pub(super) async fn run(scenario: &str, args: RunArgs) -> anyhow::Result<ExitCode> {
    let scenario = find(scenario).context("clap admits known scenarios only")?;
    run_scenarios(vec![scenario], args).await
}

/// Runs until the end or the first signal; either way, everything that was started is gone
/// before this returns.
async fn run_scenarios(scenarios: Vec<&Scenario>, args: RunArgs) -> anyhow::Result<ExitCode> {
    let interrupted = stop_signal()?;
    let progress = Progress::on_terminal();
    let seed = args.seed.unwrap_or_else(Seed::from_entropy);
    let report = tokio::select! {
        biased;
        () = interrupted => None,
        report = measure(&scenarios, &args, seed, &progress) => Some(report),
    };
    progress.finish();
    let (why, code) = match report {
        Some(Ok(report)) => {
            write(&report, &args)?;
            return Ok(report.verdict.exit_code());
        }
        Some(Err(error)) => (format!("error: {error:#}"), EXIT_ENVIRONMENT),
        None => ("interrupted".into(), EXIT_INTERRUPTED),
    };
    eprintln!("{why}\nnothing is concluded; to try again:");
    eprintln!("  rowlock {}", again(&scenarios, &args, seed));
    Ok(ExitCode::from(code))
}

/// What makes the same run again.
fn again(scenarios: &[&Scenario], args: &RunArgs, seed: Seed) -> String {
    let [scenario] = scenarios else {
        return format!("verify {}", args.repeat(seed));
    };
    format!("run {} {}", scenario.name, args.repeat(seed))
}

async fn measure(
    scenarios: &[&Scenario],
    args: &RunArgs,
    seed: Seed,
    progress: &Progress,
) -> anyhow::Result<Report> {
    let target = args.target()?;
    if scenarios
        .iter()
        .any(|scenario| scenario.name == "concurrent-buyers")
    {
        check_file_limit(args.buyers)?;
    }
    progress.say("starting PostgreSQL");
    let server = Server::start(&args.postgres.settings()).await?;
    let setting = Setting {
        server: &server,
        target: &target,
        seed,
        buyers: args.buyers,
        stocks: args.stock.clone(),
        patience: Duration::from_secs(args.request_timeout_s),
        progress,
    };
    let mut reports = Vec::new();
    for scenario in scenarios {
        let trials = scenario
            .run(&setting)
            .await
            .with_context(|| scenario.name.to_owned())?;
        let reproduce = format!("rowlock run {} {}", scenario.name, args.repeat(seed));
        reports.push(ScenarioReport {
            name: scenario.name.into(),
            trials,
            reproduce,
        });
    }
    let report = Report::new(seed, server.description(), target.describe(), reports);
    progress.say("removing what was made");
    server.stop().await?;
    Ok(report)
}

/// Each buyer is a file on either side; the limit is per process.
fn check_file_limit(buyers: usize) -> anyhow::Result<()> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let needed = buyers as u64 + SPARE_FILES;
    if limit.is_some_and(|limit| limit < needed) {
        let limit = limit.unwrap_or(0);
        bail!(
            "{buyers} buyers need {needed} open files and this process may have {limit}; \
             raise the limit (ulimit -Hn) or lower --buyers"
        );
    }
    Ok(())
}

fn write(report: &Report, args: &RunArgs) -> anyhow::Result<()> {
    if let Some(path) = &args.junit {
        let xml = junit::render(report).context("the report does not fit into XML")?;
        std::fs::write(path, xml).with_context(|| format!("cannot write {}", path.display()))?;
    }
    match args.format {
        Format::Human => print!("{}", human::render(report, wants_colour())),
        Format::Json => print!("{}", json::render(report)),
    }
    Ok(())
}

/// Colours are for terminals, and not for who sets NO_COLOR to anything (no-color.org).
fn wants_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !refused
}

impl PostgresArgs {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            provider: self.postgres,
            durable: self.durable,
            ..Settings::from_env()
        }
    }
}

impl RunArgs {
    fn target(&self) -> anyhow::Result<TargetSpec> {
        let start_timeout = Duration::from_secs(self.start_timeout_s);
        Ok(self.program()?.with_start_timeout(start_timeout))
    }

    fn program(&self) -> anyhow::Result<TargetSpec> {
        if let Some(command) = &self.service_cmd {
            return Ok(TargetSpec::command(command, self.replicas)?);
        }
        let rowlock = std::env::current_exe().context("cannot find this program's own file")?;
        match &self.mutant {
            None => Ok(TargetSpec::ours(&rowlock, self.replicas)),
            Some(name) => {
                let mutant = mutants::find(name).context("clap admits known mutants only")?;
                Ok(TargetSpec::mutant(&rowlock, mutant, self.replicas))
            }
        }
    }

    /// The flags that make the same run again, ready to paste.
    fn repeat(&self, seed: Seed) -> String {
        let mut flags = vec![format!("--seed {seed}")];
        if self.postgres.postgres != Provider::Auto {
            flags.push(format!("--postgres {}", self.postgres.postgres));
        }
        if self.postgres.durable {
            flags.push("--durable".into());
        }
        flags.push(format!("--buyers {}", self.buyers));
        let stocks: Vec<_> = self.stock.iter().map(ToString::to_string).collect();
        flags.push(format!("--stock {}", stocks.join(",")));
        if self.replicas != 1 {
            flags.push(format!("--replicas {}", self.replicas));
        }
        if self.request_timeout_s != REQUEST_TIMEOUT_S {
            flags.push(format!("--request-timeout-s {}", self.request_timeout_s));
        }
        if self.start_timeout_s != START_TIMEOUT.as_secs() {
            flags.push(format!("--start-timeout-s {}", self.start_timeout_s));
        }
        if let Some(command) = &self.service_cmd {
            let quoted = shlex::try_quote(command).unwrap_or_default();
            flags.push(format!("--service-cmd {quoted}"));
        }
        if let Some(mutant) = &self.mutant {
            flags.push(format!("--mutant {mutant}"));
        }
        flags.join(" ")
    }
}
