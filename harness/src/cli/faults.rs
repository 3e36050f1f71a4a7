//! `rowlock faults`: every step of a purchase, or of a contract's calls, broken in every way.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory};
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::Server;

use super::common::{conclude, quoted};
use super::contract::ContractArgs;
use super::explore::contract_program;
use super::part::Part;
use super::trace::TraceArgs;
use super::{Cli, CommonArgs, Format, exit_code, output};
use crate::contract::{ContractStories, ContractSubject, Program, Seat};
use crate::fault::campaign::{self, Campaign, Plan};
use crate::fault::stories::Stories;
use crate::fault::{Case, Fault, StoryName, crashes, gentle_faults, matrix};
use crate::progress::Progress;
use crate::report::html;
use crate::setting::Setting;
use crate::shop::{Shop, Story};
use crate::target::{Described, TargetSpec};
use crate::trace::TraceFile;

#[derive(Debug, Args)]
pub(super) struct FaultsArgs {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    contract: ContractArgs,
    /// The program of the contract whose stories are broken, the first one unless named
    #[arg(long, value_name = "NAME")]
    program: Option<String>,
    /// Only this case, as a report names it (STORY.STEP.FAULT); may be given again
    #[arg(long = "case", value_name = "CASE")]
    cases: Vec<String>,
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
#[serde(bound = "")]
struct FaultReport<S: Stories> {
    seed: Seed,
    postgres: String,
    target: String,
    #[serde(flatten)]
    campaign: Campaign<S>,
    /// Whether it ended with the first violation.
    #[serde(skip)]
    is_cut: bool,
}

pub(super) async fn faults(
    args: &FaultsArgs,
    trace: Option<TraceFile>,
) -> anyhow::Result<ExitCode> {
    let seed = args.common.seed();
    let progress = Progress::on_terminal();
    match args.described()? {
        None => {
            let plan = args.plan::<Story>();
            let again = args.common.repeat(seed);
            let measured = async {
                let target = args.common.target()?;
                let server = args.start(&progress).await?;
                let run = Run {
                    server,
                    target,
                    seed,
                    trace,
                };
                run.measure(args, &Shop, &plan, &progress).await
            };
            report(args, measured, &progress, &again).await
        }
        Some(described) => {
            let program = contract_program(args.program.as_deref(), &described)?;
            let again = args.contract_flags(&described, &program, seed);
            let measured = measure_contract(args, described, program, (seed, trace), &progress);
            report(args, measured, &progress, &again).await
        }
    }
}

/// Breaks the stories of a program of a contract, as a part of a longer run.
pub(super) async fn faults_part(
    args: &FaultsArgs,
    described: Described,
) -> anyhow::Result<Result<Part, ExitCode>> {
    let seed = args.common.seed();
    let progress = Progress::on_terminal();
    let program = contract_program(args.program.as_deref(), &described)?;
    let again = args.contract_flags(&described, &program, seed);
    let measured = measure_contract(args, described, program, (seed, None), &progress);
    let report = match conclude(measured, &progress, &args.repeat(&again)).await? {
        Ok(report) => report,
        Err(code) => return Ok(Err(code)),
    };
    let line = args.repeat(&again);
    Ok(Ok(Part {
        page: report.page(&again, &line, args.source()?),
        verdict: report.campaign.verdict,
        text: report.render(&again),
        suites: matrix::suites(&report.campaign),
        report: serde_json::to_value(&report)?,
    }))
}

async fn measure_contract(
    args: &FaultsArgs,
    described: Described,
    program: Program,
    (seed, trace): (Seed, Option<TraceFile>),
    progress: &Progress,
) -> anyhow::Result<FaultReport<ContractStories>> {
    let plan = args.plan::<Seat>();
    let server = args.start(progress).await?;
    progress.say("preparing the contract's database");
    let subject = ContractSubject::new(described.clone(), &server).await?;
    let target = TargetSpec::Described(described);
    let stories = ContractStories::new(subject, program);
    let run = Run {
        server,
        target,
        seed,
        trace,
    };
    run.measure(args, &stories, &plan, progress).await
}

impl<S: Stories> FaultReport<S> {
    /// As a page; `again` is the rest of the command line `line` that makes the same run.
    fn page(&self, again: &str, line: &str, source: PathBuf) -> html::Page {
        let campaign = &self.campaign;
        html::Page {
            title: "faults".into(),
            verdict: campaign.verdict,
            explained: Vec::new(),
            accusations: html::fault_accusations(campaign),
            sections: html::faults(campaign, again),
            facts: vec![
                ("postgres", self.postgres.clone()),
                ("target", self.target.clone()),
                ("seed", self.seed.to_string()),
                ("cases", campaign.played.len().to_string()),
            ],
            again: line.to_owned(),
            source,
            extent: match self.is_cut {
                true => html::Extent::CutShort,
                false => html::Extent::Whole,
            },
        }
    }

    /// For people; `again` is the rest of the command line that makes the same run.
    fn render(&self, again: &str) -> String {
        let campaign = &self.campaign;
        format!(
            "{}\npostgres: {}\ntarget:   {}\nseed:     {}\ncases:    {}\nverdict:  {}\n",
            matrix::render(campaign, again),
            self.postgres,
            self.target,
            self.seed,
            campaign.played.len(),
            campaign.verdict
        )
    }
}

/// Waits for the campaign and writes it out; `again` is the rest of its command line.
async fn report<S: Stories>(
    args: &FaultsArgs,
    measured: impl Future<Output = anyhow::Result<FaultReport<S>>>,
    progress: &Progress,
    again: &str,
) -> anyhow::Result<ExitCode> {
    let report = match conclude(measured, progress, &args.repeat(again)).await? {
        Ok(report) => report,
        Err(code) => return Ok(code),
    };
    let campaign = &report.campaign;
    args.common.write_junit(|| matrix::junit(campaign))?;
    let text = report.render(again);
    let page = report.page(again, &args.repeat(again), args.source()?);
    let verdict = args.common.publish.publish(&page, &text)?;
    output::write(&match args.common.format {
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Human => text,
    })?;
    Ok(exit_code::of(verdict))
}

impl FaultsArgs {
    /// The contract that is meant, if one is: not where a service is named, or a case of the shop.
    fn described(&self) -> anyhow::Result<Option<Described>> {
        let is_of_shop = |case: &String| case.parse::<Case<Story>>().is_ok();
        let is_shop = self.common.service.is_named() || self.cases.iter().any(is_of_shop);
        let described = self.contract.read(!is_shop)?;
        if described.is_none() && self.program.is_some() {
            refuse("--program names a program of a contract, and there is no contract");
        }
        Ok(described)
    }

    /// The file that says what is judged.
    fn source(&self) -> anyhow::Result<PathBuf> {
        let described = self.described()?;
        let file = described.map(|described| described.contract.file.clone());
        Ok(file.unwrap_or_else(|| html::NO_CONTRACT.into()))
    }

    /// What is broken. Ends the process where a case is none.
    fn plan<T: StoryName>(&self) -> Plan<T> {
        let mut faults = gentle_faults();
        faults.push(Fault::TerminateConnection);
        if !self.no_crash {
            faults.extend(crashes());
        }
        let only = self.cases.iter().map(|case| match case.parse() {
            Ok(case) => case,
            Err(why) => {
                let why: String = why;
                refuse(&format!(
                    "invalid value '{case}' for '--case <CASE>': {why}"
                ))
            }
        });
        Plan {
            faults,
            only: only.collect(),
            impossible: self.impossible,
            until_violation: self.common.fail_fast,
            ..Plan::default()
        }
    }

    async fn start(&self, progress: &Progress) -> anyhow::Result<Server> {
        progress.say("starting PostgreSQL");
        Ok(Server::start(&self.common.postgres.settings()).await?)
    }

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

    /// The flags that break the same program of a contract again.
    fn contract_flags(&self, described: &Described, program: &Program, seed: Seed) -> String {
        let contract = ContractArgs::repeat(described);
        let program = quoted(&program.name);
        let common = self.common.repeat(seed);
        format!("{contract} --program {program} {common}")
    }
}

fn refuse(why: &str) -> ! {
    Cli::command().error(ErrorKind::ValueValidation, why).exit()
}

/// What a campaign runs on.
struct Run {
    server: Server,
    target: TargetSpec,
    seed: Seed,
    trace: Option<TraceFile>,
}

impl Run {
    async fn measure<S: Stories>(
        self,
        args: &FaultsArgs,
        stories: &S,
        plan: &Plan<S::Name>,
        progress: &Progress,
    ) -> anyhow::Result<FaultReport<S>> {
        let Run {
            server,
            target,
            seed,
            trace,
        } = self;
        let setting = Setting {
            trace,
            ..args.common.setting(&server, &target, seed, progress)
        };
        let mut campaign = campaign::run(&setting, stories, plan).await?;
        if plan.until_violation && campaign.verdict == Verdict::Violation {
            let rest = "what had not begun when the first violation was found (--fail-fast)";
            campaign.left_out.push(rest.into());
        }
        let (postgres, target) = (server.description(), target.describe());
        server.stop().await?;
        Ok(FaultReport {
            seed,
            postgres,
            target,
            is_cut: plan.until_violation && campaign.verdict == Verdict::Violation,
            campaign,
        })
    }
}
