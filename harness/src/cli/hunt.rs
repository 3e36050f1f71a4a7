//! `rowlock hunt`: which stories of a contract can conflict, and what comes of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use clap::CommandFactory;
use clap::error::ErrorKind;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::Server;

use super::common::{conclude, unless_found};
use super::contract::{self, ContractArgs, set_up};
use super::explore::{MOST_WORKERS, read_budget, repeat_budget};
use super::publish::PublishArgs;
use super::trace::TraceArgs;
use super::witness::{Evidence, WitnessArgs};
use super::{Cli, Format, PostgresArgs, exit_code, output, up_to};
use crate::contract::Program;
use crate::explorer::Run;
use crate::explorer::search::Budget;
use crate::hunt::{Ended, Group, HuntReport, Hunter, Planned, Relation, Suspicions};
use crate::progress::Progress;
use crate::report::html::{Extent, Page, Section, Violation};
use crate::target::{Described, TargetSpec};
use crate::trace::TraceFile;

/// How long each pair is explored unless told otherwise.
const BUDGET: Budget = Budget::Time(Duration::from_secs(300));

/// How many schedules of what cannot conflict are run unless told otherwise.
const UNREDUCED: Budget = Budget::Schedules(200);

/// More stories at once have more serial orders than anybody can wait for.
const MOST_CALLS: u32 = 4;

#[derive(Debug, Args)]
pub(super) struct HuntArgs {
    /// The contract; without it, the nearest rowlock.toml in the working directory or above it
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// The most stories at once: 2 for pairs, 3 for triples, too
    #[arg(long, value_name = "K", default_value_t = 2, value_parser = up_to(2, MOST_CALLS))]
    calls: usize,
    /// Explore also what cannot conflict: every schedule in which a story is left at most twice in its
    /// midst, none left out as equivalent; 200 of them unless --budget says otherwise
    #[arg(long)]
    all: bool,
    /// When to give up each pair: a number of schedules, or a time such as 30s or 2m; 5m unless
    /// told otherwise
    #[arg(long, value_name = "SCHEDULES|TIME", value_parser = read_budget)]
    budget: Option<Budget>,
    /// How many schedules run at a time, each in a database of its own
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = up_to(1, MOST_WORKERS))]
    workers: usize,
    /// How to write the report on standard output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(flatten)]
    postgres: PostgresArgs,
    #[command(flatten)]
    witness: WitnessArgs,
    #[command(flatten)]
    publish: PublishArgs,
    #[command(flatten)]
    pub(super) trace: TraceArgs,
}

/// A violation of stories that were hunted together, by their names.
type Drawn = (String, Violation);

/// Exit codes: as of `rowlock explore`, of all pairs together.
pub(super) async fn hunt(args: &HuntArgs, trace: Option<TraceFile>) -> anyhow::Result<ExitCode> {
    let Some(described) = contract::read(args.contract.as_deref())? else {
        let message = "there is no rowlock.toml here or above; name one with --contract";
        Cli::command()
            .error(ErrorKind::MissingRequiredArgument, message)
            .exit()
    };
    let progress = Progress::on_terminal();
    let again = args.repeat(&described);
    let hunting = args.run(described, &progress, &again, trace);
    let (report, drawn, postgres) = match conclude(hunting, &progress, &again).await? {
        Ok(hunted) => hunted,
        Err(code) => return Ok(code),
    };
    let text = format!("{}again: rowlock {again}\n", report.summary());
    let page = page(&report, &drawn, postgres, &again);
    let verdict = args.publish.publish(&page, &text)?;
    match args.format {
        Format::Human => {
            output::write(&format!("\n{text}"))?;
        }
        Format::Json => {
            let json = serde_json::to_string_pretty(&report)?;
            output::write(&format!("{json}\n"))?;
        }
    }
    Ok(exit_code::of(verdict))
}

impl HuntArgs {
    async fn run(
        &self,
        described: Described,
        progress: &Progress,
        again: &str,
        trace: Option<TraceFile>,
    ) -> anyhow::Result<(HuntReport, Vec<Drawn>, String)> {
        progress.say("starting PostgreSQL");
        let server = Arc::new(Server::start(&self.postgres.exploring()).await?);
        let file = described.contract.file.display().to_string();
        self.say(&format!(
            "postgres: {}\ntarget:   {}\ncontract: {file}\n",
            server.description(),
            TargetSpec::Described(described.clone()).describe()
        ))?;
        progress.say("making the database");
        let mut hunter = Hunter::new(set_up(described.clone(), &server, trace).await?);
        let mut drawn = Vec::new();
        let hunted = self.groups(&mut hunter, &described, (progress, &mut drawn), again);
        let hunted = hunted.await;
        let found = matches!(&hunted, Ok(groups) if is_violated(groups));
        let closed = hunter.close().await;
        let groups = hunted?;
        unless_found(found, closed)?;
        let Some(server): Option<Server> = Arc::into_inner(server) else {
            bail!("a worker outlived the hunt");
        };
        let postgres = server.description();
        unless_found(found, server.stop().await)?;
        Ok((HuntReport::new(file, groups), drawn, postgres))
    }

    async fn groups(
        &self,
        hunter: &mut Hunter,
        described: &Described,
        (progress, drawn): (&Progress, &mut Vec<Drawn>),
        again: &str,
    ) -> anyhow::Result<Vec<Group>> {
        let contract = Arc::clone(&described.contract);
        let on_story = |label: &str| progress.say(format!("tracing {label} alone"));
        let plan = hunter.plan(&contract, self.calls, on_story).await?;
        if plan.planned.is_empty() {
            return Err(anyhow!("the contract has no story that could be hunted"));
        }
        let flags = self.flags(described);
        let evidence = EvidenceFlags { flags, again };
        let mut groups = Vec::new();
        for (program, run) in &plan.wrong_alone {
            let mut group = Group::wrong_alone(program, run);
            drawn.extend(
                self.show(hunter, &mut group, program, Some(run), &evidence)
                    .await?,
            );
            groups.push(group);
        }
        let count = plan.planned.len();
        for (place, planned) in plan.planned.iter().enumerate() {
            let name = format!("{}/{count} {}", place + 1, planned.program.name);
            let mut group = Group::of(planned);
            let ended = self.explore(hunter, planned, &mut group, &name, progress);
            let found = match ended.await {
                Ok(found) => found,
                Err(error) if !is_violated(&groups) => return Err(error),
                // What was found stands.
                Err(error) => {
                    group.ended = Ended::NotProven;
                    group.not_proven.push(format!("{error:#}"));
                    Found::default()
                }
            };
            progress.say(format!("{name}: shrinking the violation"));
            let program = &planned.program;
            let violation = found.violation.as_deref();
            let shown = self.show(hunter, &mut group, program, violation, &evidence);
            drawn.extend(shown.await?);
            for (order, run) in &found.deadlocks {
                let written = self.witness_of(hunter, program, run, &evidence).await?;
                group.lock_orders[*order].witness = written.path;
                drawn.push((format!("{}, a deadlock", group.program), written.drawn));
            }
            groups.push(group);
        }
        Ok(groups)
    }

    /// Explores a pair, if that is to be done; gives the runs that violate something.
    async fn explore(
        &self,
        hunter: &mut Hunter,
        planned: &Planned,
        group: &mut Group,
        name: &str,
        progress: &Progress,
    ) -> anyhow::Result<Found> {
        let mut runs = 0;
        let mut deadlock = None;
        let on_run = |run: &Run<Program>| {
            runs += 1;
            progress.say(format!("{name}: {runs} schedules"));
            if run.execution.deadlock().is_some() {
                deadlock.get_or_insert_with(|| run.execution.schedule.to_string());
            }
        };
        let program = &planned.program;
        let suspicions = match &planned.relation {
            Relation::MayConflict(suspicions) => suspicions,
            Relation::CannotConflict(_) if self.all => {
                let budget = self.budget.unwrap_or(UNREDUCED);
                let explored = hunter.explore_unreduced(program, budget, self.workers, on_run);
                let explored = explored.await?;
                group.take_unreduced(&explored);
                return Ok(Found {
                    violation: explored.violation,
                    deadlocks: Vec::new(),
                });
            }
            Relation::CannotConflict(_) => return Ok(Found::default()),
        };
        let budget = self.budget.unwrap_or(BUDGET);
        let explored = hunter.explore(program, suspicions, budget, self.workers, on_run);
        let explored = explored.await?;
        group.take(&explored);
        let mut found = Found {
            violation: explored.violation,
            deadlocks: Vec::new(),
        };
        confirm(hunter, program, suspicions, group, &mut found).await?;
        if let (Some(schedule), [only]) = (deadlock, group.lock_orders.as_mut_slice()) {
            only.deadlocks.get_or_insert(schedule);
        }
        Ok(found)
    }

    /// Writes the witness of a deadlock that was found beside something else, and shows it.
    async fn witness_of(
        &self,
        hunter: &Hunter,
        program: &Program,
        run: &Run<Program>,
        evidence: &EvidenceFlags<'_>,
    ) -> anyhow::Result<Evidence> {
        let EvidenceFlags { flags, again } = evidence;
        let written = self
            .witness
            .write(hunter.setup(), program, run, flags, again);
        let written = written.await?;
        self.say(&format!("\nbeside it, a deadlock:\n{}", written.text))?;
        Ok(written)
    }

    /// Writes the witness of a violation, and shows what became of a pair.
    async fn show(
        &self,
        hunter: &Hunter,
        group: &mut Group,
        program: &Program,
        violation: Option<&Run<Program>>,
        evidence: &EvidenceFlags<'_>,
    ) -> anyhow::Result<Option<Drawn>> {
        let mut drawn = None;
        let mut text = format!("\n{}", group.render());
        if let Some(run) = violation {
            let EvidenceFlags { flags, again } = evidence;
            let written = self
                .witness
                .write(hunter.setup(), program, run, flags, again);
            let written = written.await?;
            group.witness = written.path;
            text += &format!("\n{}", written.text);
            drawn = Some((group.program.clone(), written.drawn));
        }
        self.say(&text)?;
        Ok(drawn)
    }

    /// Writes what is for people, if people are to read it.
    fn say(&self, text: &str) -> anyhow::Result<()> {
        match self.format {
            Format::Human => output::write(text),
            Format::Json => Ok(()),
        }
    }

    /// The flags that name the same server and contract, ready to paste.
    fn flags(&self, described: &Described) -> String {
        let mut flags = vec![ContractArgs::repeat(described)];
        flags.extend(self.postgres.repeat());
        flags.join(" ")
    }

    /// The flags that hunt again, ready to paste.
    fn repeat(&self, described: &Described) -> String {
        let mut flags = vec!["hunt".to_owned(), self.flags(described)];
        if self.calls != 2 {
            flags.push(format!("--calls {}", self.calls));
        }
        if self.all {
            flags.push("--all".into());
        }
        flags.extend(self.budget.and_then(repeat_budget));
        if self.workers != 2 {
            flags.push(format!("--workers {}", self.workers));
        }
        flags.join(" ")
    }
}

/// What was hunted, as a page: each violation as a drawing.
fn page(report: &HuntReport, drawn: &[Drawn], postgres: String, again: &str) -> Page {
    let sections = drawn.iter().enumerate().map(|(index, (program, drawn))| {
        Section::new(program.clone(), drawn.render(&format!("run-{index}")))
    });
    let mut sections: Vec<_> = sections.collect();
    let groups = report.groups.iter();
    let lines: Vec<_> = groups
        .clone()
        .map(|group| format!("{}: {}", group.ended.as_str(), group.program))
        .collect();
    sections.extend(Section::lines("What was hunted", &lines));
    let open = groups.flat_map(|group| {
        let not_proven = group.not_proven.iter();
        not_proven.map(|why| format!("{}: {why}", group.program))
    });
    let open: Vec<_> = open.collect();
    sections.extend(Section::lines("What was not proven", &open));
    Page {
        title: "hunt".into(),
        verdict: report.verdict,
        explained: drawn
            .iter()
            .flat_map(|(_, it)| it.explained.clone())
            .collect(),
        accusations: drawn
            .iter()
            .flat_map(|(_, it)| it.accusations.clone())
            .collect(),
        sections,
        facts: vec![
            ("postgres", postgres),
            ("contract", report.contract.clone()),
        ],
        again: again.to_owned(),
        source: report.contract.clone().into(),
        // Each pair ends with its first violation.
        extent: match drawn.is_empty() {
            true => Extent::Whole,
            false => Extent::CutShort,
        },
    }
}

/// Tries each lock order where it would deadlock, unless every schedule was run and is right. A run
/// that deadlocks is evidence of its order, and a violation of its own.
async fn confirm(
    hunter: &mut Hunter,
    program: &Program,
    suspicions: &Suspicions,
    group: &mut Group,
    found: &mut Found,
) -> anyhow::Result<()> {
    if group.ended == Ended::Valid {
        return Ok(());
    }
    let is_deadlock = |run: &Run<Program>| run.execution.deadlock().is_some();
    for (place, order) in suspicions.lock_orders.iter().enumerate() {
        let Some(run) = hunter.confirm(program, order).await? else {
            continue;
        };
        group.lock_orders[place].deadlocks = Some(run.execution.schedule.to_string());
        if run.verdict() != Verdict::Violation {
            continue;
        }
        match &found.violation {
            None => {
                group.take_violation(&run);
                found.violation = Some(Box::new(run));
            }
            Some(violation) if !is_deadlock(violation) => found.deadlocks.push((place, run)),
            Some(_) => {}
        }
    }
    Ok(())
}

/// The runs of a pair that violate something.
#[derive(Debug, Default)]
struct Found {
    /// The first.
    violation: Option<Box<Run<Program>>>,
    /// Where that is no deadlock, one for each lock order that deadlocks.
    deadlocks: Vec<(usize, Run<Program>)>,
}

/// What a witness's text ends with.
struct EvidenceFlags<'a> {
    flags: String,
    again: &'a str,
}

fn is_violated(groups: &[Group]) -> bool {
    let mut verdicts = groups.iter().map(|group| group.ended.verdict());
    verdicts.any(|verdict| verdict == Verdict::Violation)
}
