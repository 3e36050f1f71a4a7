//! `rowlock run burst`: many actors of a contract at once.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;
use quick_junit::TestSuite;
use rowlock_core::finding::{Finding, Outcome};
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::Server;

use super::common::{conclude, quoted};
use super::contract::ContractArgs;
use super::explore::contract_program;
use super::part::{self, Part};
use super::run::check_file_limit;
use super::{Cli, Format, RunArgs, exit_code, output};
use crate::contract::burst::{Burst, burst};
use crate::contract::{ContractSubject, Program};
use crate::progress::Progress;
use crate::report::html::{self, Extent, Page};
use crate::report::{Accusation, Fingerprint, junit};
use crate::target::{Described, TargetSpec};

/// What a burst is called on the command line.
pub(super) const NAME: &str = "burst";

pub(super) async fn run_burst(args: RunArgs) -> anyhow::Result<ExitCode> {
    let Some(described) = args.contract.read(!args.common.service.is_named())? else {
        let message = format!(
            "`run {NAME}` needs a contract: --contract FILE, or a rowlock.toml here or above"
        );
        Cli::command()
            .error(ErrorKind::MissingRequiredArgument, message)
            .exit()
    };
    let part = match burst_part(&args, described).await? {
        Ok(part) => part,
        Err(code) => return Ok(code),
    };
    args.common
        .write_junit(|| part::junit("rowlock run burst", [&part]))?;
    let verdict = args.common.publish.publish(&part.page, &part.text)?;
    output::write(&match args.common.format {
        Format::Json => serde_json::to_string_pretty(&part.report)? + "\n",
        Format::Human => part.text,
    })?;
    Ok(exit_code::of(verdict))
}

/// Lets the actors go, as a part of a longer run or alone.
pub(super) async fn burst_part(
    args: &RunArgs,
    described: Described,
) -> anyhow::Result<Result<Part, ExitCode>> {
    let program = contract_program(args.program.as_deref(), &described)?;
    let progress = Progress::on_terminal();
    let again = args.repeat_burst(&described);
    let source = described.contract.file.clone();
    let measured = measure(args, described, &program, &progress);
    let (burst, postgres) = match conclude(measured, &progress, &again).await? {
        Ok(measured) => measured,
        Err(code) => return Ok(Err(code)),
    };
    let mut suite = TestSuite::new(format!("burst {}", burst.program));
    let findings = burst.findings.iter();
    suite.add_test_cases(findings.map(|finding| junit::case("burst", finding)));
    Ok(Ok(Part {
        page: page(&burst, &postgres, &again, source),
        verdict: burst.verdict,
        text: render(&burst, &postgres, &again),
        report: serde_json::to_value(&burst)?,
        suites: vec![suite],
    }))
}

async fn measure(
    args: &RunArgs,
    described: Described,
    program: &Program,
    progress: &Progress,
) -> anyhow::Result<(Burst, String)> {
    check_file_limit(args.actors)?;
    progress.say("starting PostgreSQL");
    let server = Server::start(&args.common.postgres.settings()).await?;
    let subject = ContractSubject::new(described.clone(), &server).await?;
    let target = TargetSpec::Described(described);
    progress.say(format!("{} actors", args.actors));
    // Nothing is drawn from the seed.
    let setting = args.common.setting(&server, &target, Seed(0), progress);
    let burst = burst(&setting, &subject, program, args.actors).await?;
    let description = server.description();
    server.stop().await?;
    Ok((burst, description))
}

fn render(burst: &Burst, postgres: &str, again: &str) -> String {
    let mut text = format!(
        "burst of {} actors, program {:?}\n  {:.0} {} ok per second; p50 {:.1} ms, p99 {:.1} ms; \
         {} calls gave way\n",
        burst.actors,
        burst.program,
        burst.rate.per_second,
        burst.rate.counted,
        burst.p50_us as f64 / 1000.0,
        burst.p99_us as f64 / 1000.0,
        burst.gave_way
    );
    for (answer, count) in &burst.answers {
        text += &format!("  {count:>7}  {answer}\n");
    }
    text += "\nchecked:\n";
    for finding in &burst.findings {
        text += &line(finding);
    }
    text += &format!("\npostgres: {postgres}\nverdict:  {}\n", burst.verdict);
    if burst.verdict != Verdict::Valid {
        text += &format!("again:    rowlock {again}\n");
    }
    text
}

/// As a page.
fn page(burst: &Burst, postgres: &str, again: &str, source: PathBuf) -> Page {
    let title = format!("burst of {} actors of {}", burst.actors, burst.program);
    let accusations = burst.findings.iter().filter_map(|finding| {
        let (sentence, verdict) = match &finding.outcome {
            Outcome::Violated(places) => {
                let place = places.first().unwrap_or(&finding.statement);
                (place.clone(), Verdict::Violation)
            }
            Outcome::Unchecked(why) if burst.verdict == Verdict::Inconclusive => (
                format!("could not be checked: {why}"),
                Verdict::Inconclusive,
            ),
            _ => return None,
        };
        Some(Accusation {
            check: finding.name.clone(),
            sentence,
            verdict,
            fingerprint: Fingerprint::of(&finding.name, [NAME, burst.program.as_str()]),
        })
    });
    let text = render(burst, postgres, again);
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    Page {
        title,
        verdict: burst.verdict,
        explained: Vec::new(),
        accusations: accusations.collect(),
        sections: vec![html::course(&burst.course, burst.rate.counted, &lines)],
        facts: vec![("postgres", postgres.to_owned())],
        again: again.to_owned(),
        source,
        extent: Extent::Sample,
    }
}

fn line(finding: &Finding) -> String {
    let said = match &finding.outcome {
        Outcome::Holds => "holds".to_owned(),
        Outcome::Violated(places) => format!("VIOLATED\n      {}", places.join("\n      ")),
        Outcome::NotApplicable(why) => format!("not applicable: {why}"),
        Outcome::Unchecked(why) => format!("not checked: {why}"),
    };
    format!("  {:<24} {}: {said}\n", finding.name, finding.statement)
}

impl RunArgs {
    fn repeat_burst(&self, described: &Described) -> String {
        let mut flags = vec![format!("run {NAME}"), ContractArgs::repeat(described)];
        flags.extend(
            self.program
                .iter()
                .map(|name| format!("--program {}", quoted(name))),
        );
        flags.push(format!("--actors {}", self.actors));
        // The seed decides nothing here.
        flags.extend(self.common.flags());
        flags.join(" ")
    }
}
