//! `rowlock verify` and `rowlock run`: scenarios on a server, and their report.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use super::stop::{EXIT_INTERRUPTED, stop_signal};
use super::{Format, PostgresArgs, RunArgs};
use crate::postgres::{Provider, Server, Settings};
use crate::progress::Progress;
use crate::report::{Report, ScenarioReport, human, json, junit};
use crate::scenario::{SCENARIOS, Scenario, find};
use crate::seed::Seed;
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
    let Some(report) = report else {
        eprintln!("interrupted; nothing is concluded (seed {seed})");
        return Ok(ExitCode::from(EXIT_INTERRUPTED));
    };
    let report = report.with_context(|| {
        format!(
            "nothing is concluded; to try again: rowlock {}",
            again(&scenarios, &args, seed)
        )
    })?;
    write(&report, &args)?;
    Ok(report.verdict.exit_code())
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
    let target = args.service.processes()?;
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
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match args.format {
        Format::Human => print!("{}", human::render(report, colour)),
        Format::Json => print!("{}", json::render(report)),
    }
    Ok(())
}

impl PostgresArgs {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            provider: self.postgres,
            durable: self.durable,
            ..Settings::from_env()
        }
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

impl RunArgs {
    /// The flags that make the same run again, ready to paste.
    fn repeat(&self, seed: Seed) -> String {
        let mut flags = vec![format!("--seed {seed}")];
        flags.extend(self.postgres.repeat());
        flags.push(format!("--buyers {}", self.buyers));
        let stocks: Vec<_> = self.stock.iter().map(ToString::to_string).collect();
        flags.push(format!("--stock {}", stocks.join(",")));
        flags.extend(self.service.repeat());
        flags.join(" ")
    }
}
