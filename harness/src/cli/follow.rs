//! `rowlock explore --schedule`: one interleaving, shown step by step.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::CommandFactory;
use clap::error::ErrorKind;
use rowlock_core::program::Program;
use rowlock_core::verdict::Verdict;

use super::common::{conclude_verdict, quoted, unless_found, wants_colour};
use super::explore::{ExploreArgs, Prepared};
use super::{Cli, output};
use crate::explorer::{self, RequestIndex, Schedule, SerialRunner, Witness, timeline};
use crate::progress::Progress;
use crate::report::html::{Extent, Page, Section, Violation};
use crate::subject::Subject;
use crate::trace::TraceFile;

/// Exit codes: as of `rowlock replay`.
pub(super) async fn follow(
    args: &ExploreArgs,
    schedule: &Schedule,
    trace: Option<TraceFile>,
) -> anyhow::Result<ExitCode> {
    let progress = Progress::on_terminal();
    match args.described()? {
        None => {
            refuse_unknown_requests(schedule, args.buyers, |last| {
                let (buyers, needed) = (args.buyers, last.0 + 1);
                format!("there are {buyers} buyers; for {last} it takes --buyers {needed}")
            });
            let program = args.shop_program()?;
            let flags = args.service_flags();
            let flags = format!("--buyers {} {flags}", args.buyers);
            let again = repeat(&program.name, schedule, &flags);
            let run = async {
                let prepared = args.prepare_shop(program, &progress, trace).await?;
                run(args, prepared, schedule, &again, &progress).await
            };
            conclude_verdict(run, &progress, &again).await
        }
        Some(described) => {
            let program = args.contract_program(&described)?;
            let count = program.actors.len();
            refuse_unknown_requests(schedule, count, |_| {
                format!("program {:?} has {count} actors", program.name)
            });
            let again = repeat(&program.name, schedule, &args.contract_flags(&described));
            let run = async {
                let prepared = args.prepare_contract(described, program, &progress, trace);
                run(args, prepared.await?, schedule, &again, &progress).await
            };
            conclude_verdict(run, &progress, &again).await
        }
    }
}

/// Ends the process where the schedule names a request that the program does not have.
fn refuse_unknown_requests(
    schedule: &Schedule,
    count: usize,
    why: impl FnOnce(RequestIndex) -> String,
) {
    let requests = schedule.0.iter().flat_map(|choice| choice.requests());
    let Some(last) = requests.max().filter(|last| last.0 >= count) else {
        return;
    };
    let why = why(last);
    let message = format!("--schedule {schedule} names request {last}, and {why}");
    Cli::command()
        .error(ErrorKind::ValueValidation, message)
        .exit()
}

async fn run<S: Subject>(
    args: &ExploreArgs,
    prepared: Prepared<S>,
    schedule: &Schedule,
    again: &str,
    progress: &Progress,
) -> anyhow::Result<Verdict> {
    let Prepared {
        server,
        setup,
        program,
        flags,
    } = prepared;
    let mut runner = SerialRunner::new(setup.clone());
    progress.say(format!("following {schedule}"));
    let followed = explorer::follow(&mut runner, &program, schedule).await?;
    let verdict = followed.verdict();
    let is_violated = verdict == Verdict::Violation;
    let target = setup.target.describe();
    let shown = Witness::of(&target, &program, &followed.run);
    let replay_line = match is_violated {
        true => args
            .witness
            .write_as_is(&setup, &program, &followed.run, &flags)?,
        false => String::new(),
    };
    let text = format!(
        "\n{}\n{followed}\nagain:    rowlock {again}\n{replay_line}",
        timeline::render(&shown, wants_colour())
    );
    output::write(&text)?;
    let drawn = Violation::of(&shown);
    let page = Page {
        title: format!("explore {} --schedule", program.name()),
        verdict,
        explained: [drawn.explained.clone(), vec![followed.to_string()]].concat(),
        accusations: drawn.accusations.clone(),
        sections: vec![Section::new("What ran", drawn.render("run"))],
        facts: vec![("postgres", server.description()), ("target", target)],
        again: again.to_owned(),
        source: args.source()?,
        extent: Extent::Whole,
    };
    let verdict = args.publish.publish(&page, &text)?;
    unless_found(is_violated, runner.close().await)?;
    drop(setup);
    let Some(server) = Arc::into_inner(server) else {
        bail!("a run outlived its schedule");
    };
    unless_found(is_violated, server.stop().await)?;
    Ok(verdict)
}

/// The flags that follow the same schedule again, ready to paste.
fn repeat(program: &str, schedule: &Schedule, flags: &str) -> String {
    let program = quoted(program);
    // Parentheses mean something to a shell.
    let schedule = quoted(&schedule.to_string());
    let again = format!("explore {program} --schedule {schedule} {flags}");
    again.trim_end().to_owned()
}
