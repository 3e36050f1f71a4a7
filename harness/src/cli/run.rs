//! `rowlock verify` and `rowlock run`: scenarios on a server, and their report.

use std::process::ExitCode;

use anyhow::{Context, bail};
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::Server;

use super::common::{conclude, wants_colour};
use super::{Format, RunArgs, exit_code, output};
use crate::progress::Progress;
use crate::report::html::Extent;
use crate::report::{Report, ScenarioReport, html, human, json, junit};
use crate::setting::Setting;
use crate::shop::scenario::{Load, SCENARIOS, Scenario, ScenarioName, of};
use crate::trace::{Part, TraceFile};

/// Files that a process needs besides its buyers' connections.
pub(super) const SPARE_FILES: u64 = 200;

pub(super) async fn verify(args: RunArgs) -> anyhow::Result<ExitCode> {
    run_scenarios(SCENARIOS.iter().collect(), args, None).await
}

pub(super) async fn run(
    scenario: ScenarioName,
    args: RunArgs,
    trace: Option<TraceFile>,
) -> anyhow::Result<ExitCode> {
    run_scenarios(vec![of(scenario)], args, trace).await
}

async fn run_scenarios(
    scenarios: Vec<&Scenario>,
    args: RunArgs,
    trace: Option<TraceFile>,
) -> anyhow::Result<ExitCode> {
    let seed = args.common.seed();
    let progress = Progress::on_terminal();
    let again = again(&scenarios, &args, seed);
    let measured = measure(&scenarios, &args, seed, &progress, trace);
    let report = match conclude(measured, &progress, &again).await? {
        Ok(report) => report,
        Err(code) => return Ok(code),
    };
    args.common.write_junit(|| junit::render(&report))?;
    let title = match scenarios.as_slice() {
        [scenario] => format!("run {}", scenario.name),
        _ => "verify".into(),
    };
    let text = human::render(&report, wants_colour());
    let mut page = html::load(&report, &title, &again);
    if args.common.fail_fast && report.verdict == Verdict::Violation {
        page.extent = Extent::CutShort;
    }
    let verdict = args.common.publish.publish(&page, &text)?;
    output::write(&match args.common.format {
        Format::Human => text,
        Format::Json => json::render(&report),
    })?;
    Ok(exit_code::of(verdict))
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
    trace: Option<TraceFile>,
) -> anyhow::Result<Report> {
    let target = args.common.target()?;
    if scenarios
        .iter()
        .any(|scenario| scenario.name == ScenarioName::ConcurrentBuyers)
    {
        check_file_limit(args.buyers)?;
    }
    progress.say("starting PostgreSQL");
    let server = Server::start(&args.common.postgres.settings()).await?;
    let setting = Setting {
        trace,
        ..args.common.setting(&server, &target, seed, progress)
    };
    let load = Load {
        buyers: args.buyers,
        stocks: args.stock.clone(),
        max_conflicts: args.max_conflicts,
    };
    let mut reports: Vec<ScenarioReport> = Vec::new();
    let mut left_out = Vec::new();
    for scenario in scenarios {
        let is_violated = |report: &ScenarioReport| {
            let mut trials = report.trials.iter();
            trials.any(|trial| trial.verdict == Some(Verdict::Violation))
        };
        if args.common.fail_fast && reports.last().is_some_and(is_violated) || !left_out.is_empty()
        {
            left_out.push(format!(
                "{}: not run after a violation (--fail-fast)",
                scenario.name
            ));
            continue;
        }
        if let Some(trace) = &setting.trace {
            trace.begin_part(Part::Scenario(scenario.name.to_string()));
        }
        let trials = scenario
            .run(&setting, &load)
            .await
            .with_context(|| scenario.name.to_string())?;
        let reproduce = format!("rowlock run {} {}", scenario.name, args.repeat(seed));
        reports.push(ScenarioReport {
            name: scenario.name.to_string(),
            trials,
            reproduce,
        });
    }
    let mut report = Report::new(seed, server.description(), target.describe(), reports);
    report.not_verified.extend(left_out);
    progress.say("removing what was made");
    server.stop().await?;
    Ok(report)
}

/// Each buyer is a file on either side; the limit is per process.
pub(super) fn check_file_limit(buyers: usize) -> anyhow::Result<()> {
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

impl RunArgs {
    /// The flags that make the same run again, ready to paste.
    fn repeat(&self, seed: Seed) -> String {
        let stocks: Vec<_> = self.stock.iter().map(ToString::to_string).collect();
        let load = format!("--buyers {} --stock {}", self.buyers, stocks.join(","));
        let limit = self.max_conflicts;
        let limit = limit.map_or(String::new(), |most| format!(" --max-conflicts {most}"));
        format!("{} {load}{limit}", self.common.repeat(seed))
    }
}
