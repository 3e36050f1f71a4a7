//! `rowlock verify`: all that is known of a service, one part after another.
//!
//! Without a contract these are the scenarios. With one they are the commands that a user could give
//! one by one: every program explored, its actors let go at once, and its steps broken.

use std::process::ExitCode;

use anyhow::bail;
use clap::Parser;
use rowlock_core::verdict::Verdict;

use super::burst::burst_part;
use super::common::quoted;
use super::contract::ContractArgs;
use super::exit_code::Exit;
use super::explore::explore_part;
use super::faults::faults_part;
use super::part::{self, Part, Ran};
use super::{Cli, Command, Format, REQUEST_TIMEOUT_S, RunArgs, output, run};
use crate::contract::programs;
use crate::report::html::{Extent, Page};
use crate::target::Described;

pub(super) async fn verify(args: RunArgs) -> anyhow::Result<ExitCode> {
    match args.contract.read(!args.common.service.is_named())? {
        None => run::verify(args).await,
        Some(described) => verify_contract(&args, &described).await,
    }
}

/// Gives the worst of the parts' exit codes; a signal ends them all.
async fn verify_contract(args: &RunArgs, described: &Described) -> anyhow::Result<ExitCode> {
    let mut worst = ExitCode::SUCCESS;
    let mut all = Vec::new();
    for line in parts(args, described) {
        args.say(&format!("== rowlock {line}\n"))?;
        let words = shlex::split(&line).unwrap_or_default();
        let words = ["rowlock".to_owned()].into_iter().chain(words);
        let cli = Cli::try_parse_from(words)?;
        let ended = Box::pin(run_part(cli.command, args.common.format, described.clone())).await;
        let ended = ended.unwrap_or_else(|error| {
            output::complain(&format!("error: {error:#}"));
            Err(Exit::of_error(&error).into())
        });
        let ran = Ran::new(line, ended);
        args.say(&format!("{}\n", ran.part.text))?;
        let code = ran.code;
        all.push(ran);
        if severity(code) > severity(worst) {
            worst = code;
        }
        let is_over = args.common.fail_fast && code == Exit::Violated.into();
        if is_over {
            args.say("the other parts are left out (--fail-fast)\n")?;
        }
        if is_over || code == Exit::Interrupted.into() {
            break;
        }
    }
    let again = args.repeat_contract(described);
    let text = all
        .iter()
        .map(|ran| format!("== rowlock {}\n{}\n", ran.line, ran.part.text));
    let text: String = text.collect();
    let suites = || part::junit("rowlock verify", all.iter().map(|ran| &ran.part));
    args.common.write_junit(suites)?;
    if args.common.format == Format::Json {
        let verdicts = all.iter().map(|ran| ran.part.verdict);
        let parts: Vec<_> = all.iter().map(Ran::report).collect();
        let report = serde_json::json!({
            "contract": described.contract.file,
            "verdict": Verdict::compose(verdicts),
            "parts": parts,
        });
        output::write(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    }
    let source = described.contract.file.clone();
    let pages = all.into_iter().map(|ran| ran.part.page).collect();
    let mut page = Page::joined("verify".into(), again, source, pages);
    if args.common.fail_fast && page.verdict == Verdict::Violation {
        page.extent = Extent::CutShort;
    }
    let verdict = args.common.publish.publish(&page, &text)?;
    let is_judged = [Exit::Held, Exit::NotProven, Exit::Violated].map(ExitCode::from);
    if args.common.publish.has_baseline() && is_judged.contains(&worst) {
        worst = Exit::from(verdict).into();
    }
    Ok(worst)
}

/// What one part came to.
async fn run_part(
    command: Command,
    format: Format,
    described: Described,
) -> anyhow::Result<Result<Part, ExitCode>> {
    match command {
        Command::Explore(mut args) => {
            args.is_quiet = format == Format::Json;
            explore_part(&args, described).await
        }
        Command::Run { args, .. } => burst_part(&args, described).await,
        Command::Faults(args) => faults_part(&args, described).await,
        _ => bail!("no part of a verification"),
    }
}

/// The command lines of the parts.
fn parts(args: &RunArgs, described: &Described) -> Vec<String> {
    let mut common = vec![ContractArgs::repeat(described)];
    common.extend(args.common.postgres.repeat());
    if let Some(seed) = args.common.seed {
        common.push(format!("--seed {seed}"));
    }
    let mut patient = common.clone();
    if args.common.request_timeout_s != REQUEST_TIMEOUT_S {
        patient.push(format!(
            "--request-timeout-s {}",
            args.common.request_timeout_s
        ));
    }
    let patient = patient.join(" ");
    // A known violation must hide no other.
    common.extend(args.common.publish.repeat_baseline());
    let common = common.join(" ");
    let programs = programs(&described.contract);
    let mut parts: Vec<_> = programs
        .iter()
        .map(|program| format!("explore {} {common}", quoted(&program.name)))
        .collect();
    parts.push(format!("run burst --actors {} {patient}", args.actors));
    parts.push(format!("faults {patient}"));
    parts
}

impl RunArgs {
    /// The command line that verifies the same contract again.
    fn repeat_contract(&self, described: &Described) -> String {
        let mut words = vec!["verify".to_owned(), ContractArgs::repeat(described)];
        words.push(format!("--actors {}", self.actors));
        words.extend(self.common.seed.map(|seed| format!("--seed {seed}")));
        words.extend(self.common.flags());
        words.join(" ")
    }

    /// Writes what is for people, if people are to read it.
    fn say(&self, text: &str) -> anyhow::Result<()> {
        match self.common.format {
            Format::Human => output::write(text),
            Format::Json => Ok(()),
        }
    }
}

/// What decides where parts end differently: a violation most of all, then what kept a part from
/// concluding anything.
fn severity(code: ExitCode) -> usize {
    use super::exit_code::Exit::{Environment, Held, Interrupted, NotProven, Usage, Violated};
    let order = [Held, NotProven, Environment, Usage, Interrupted, Violated];
    let order = order.map(ExitCode::from);
    order.iter().position(|known| *known == code).unwrap_or(0)
}
