//! `rowlock faults`: every step of a purchase, broken in every way.

use std::process::ExitCode;

use clap::Args;
use rowlock_core::seed::Seed;
use rowlock_postgres::Server;

use super::common::conclude;
use super::trace::TraceArgs;
use super::{CommonArgs, Format, exit_code, output};
use crate::fault::campaign::{self, Campaign, Plan};
use crate::fault::{Case, crashes, gentle_faults, matrix};
use crate::progress::Progress;
use crate::trace::TraceFile;
use crate::world::Setting;

#[derive(Debug, Args)]
pub(super) struct FaultsArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Only this case, as a report names it (STORY.STEP.FAULT); may be given again
    #[arg(long = "case", value_name = "CASE")]
    cases: Vec<Case>,
    /// Leave out the faults that kill the server
    #[arg(long)]
    no_crash: bool,
    /// Inject errors also where PostgreSQL cannot raise them
    #[arg(long)]
    impossible: bool,
    #[command(flatten)]
    pub(super) trace: TraceArgs,
}

/// A campaign and where it ran.
#[derive(Debug, serde::Serialize)]
struct FaultReport {
    seed: Seed,
    postgres: String,
    target: String,
    #[serde(flatten)]
    campaign: Campaign,
}

pub(super) async fn faults(
    args: &FaultsArgs,
    trace: Option<TraceFile>,
) -> anyhow::Result<ExitCode> {
    let seed = args.common.seed();
    let progress = Progress::on_terminal();
    let again = args.common.repeat(seed);
    let measured = measure(args, seed, &progress, trace);
    let report = match conclude(measured, &progress, &args.repeat(&again)).await? {
        Ok(report) => report,
        Err(code) => return Ok(code),
    };
    let campaign = &report.campaign;
    args.common.write_junit(|| matrix::junit(campaign))?;
    output::write(&match args.common.format {
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Human => format!(
            "{}\npostgres: {}\ntarget:   {}\nseed:     {seed}\ncases:    {}\nverdict:  {}\n",
            matrix::render(campaign, &again),
            report.postgres,
            report.target,
            campaign.played.len(),
            campaign.verdict
        ),
    })?;
    Ok(exit_code::of(campaign.verdict))
}

impl FaultsArgs {
    /// The command line that makes the same run again.
    fn repeat(&self, common: &str) -> String {
        let cases = self.cases.iter().map(|case| format!("--case {case} "));
        let flags = [
            (self.no_crash, "--no-crash "),
            (self.impossible, "--impossible "),
        ];
        let flags = flags.iter().filter(|(is_set, _)| *is_set);
        let flags: String = flags.map(|(_, flag)| *flag).collect();
        format!("faults {}{flags}{common}", cases.collect::<String>())
    }
}

async fn measure(
    args: &FaultsArgs,
    seed: Seed,
    progress: &Progress,
    trace: Option<TraceFile>,
) -> anyhow::Result<FaultReport> {
    let target = args.common.target()?;
    progress.say("starting PostgreSQL");
    let server = Server::start(&args.common.postgres.settings()).await?;
    let setting = Setting {
        trace,
        ..args.common.setting(&server, &target, seed, progress)
    };
    let mut faults = gentle_faults();
    if !args.no_crash {
        faults.extend(crashes());
    }
    let plan = Plan {
        faults,
        only: args.cases.clone(),
        impossible: args.impossible,
        ..Plan::default()
    };
    let campaign = campaign::run(&setting, &plan).await?;
    let (postgres, target) = (server.description(), target.describe());
    server.stop().await?;
    Ok(FaultReport {
        seed,
        postgres,
        target,
        campaign,
    })
}
