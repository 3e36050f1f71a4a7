//! `rowlock explore --schedule`: one interleaving, shown step by step.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::CommandFactory;
use clap::error::ErrorKind;
use rowlock_core::verdict::Verdict;

use super::common::{conclude, unless_found, wants_colour};
use super::explore::ExploreArgs;
use super::{Cli, exit_code, output};
use crate::explorer::{self, Schedule, SerialRunner, Witness, timeline};
use crate::progress::Progress;
use crate::trace::TraceFile;

/// Exit codes: as of `rowlock replay`.
pub(super) async fn follow(
    args: &ExploreArgs,
    schedule: &Schedule,
    trace: Option<TraceFile>,
) -> anyhow::Result<ExitCode> {
    refuse_unknown_requests(args, schedule);
    let progress = Progress::on_terminal();
    let again = repeat(args, schedule);
    let run = run(args, schedule, &again, &progress, trace);
    match conclude(run, &progress, &again).await? {
        Ok(verdict) => Ok(exit_code::of(verdict)),
        Err(code) => Ok(code),
    }
}

/// Ends the process where the schedule names a request that the program does not have.
fn refuse_unknown_requests(args: &ExploreArgs, schedule: &Schedule) {
    let requests = schedule.0.iter().flat_map(|choice| choice.requests());
    let Some(last) = requests.max().filter(|last| last.0 >= args.buyers) else {
        return;
    };
    let (buyers, needed) = (args.buyers, last.0 + 1);
    let message = format!(
        "--schedule {schedule} names request {last}, and there are {buyers} buyers; \
         for {last} it takes --buyers {needed}"
    );
    Cli::command()
        .error(ErrorKind::ValueValidation, message)
        .exit()
}

async fn run(
    args: &ExploreArgs,
    schedule: &Schedule,
    again: &str,
    progress: &Progress,
    trace: Option<TraceFile>,
) -> anyhow::Result<Verdict> {
    let (server, setup, program) = args.set_up(progress, trace).await?;
    let mut runner = SerialRunner::new(setup.clone());
    progress.say(format!("following {schedule}"));
    let followed = explorer::follow(&mut runner, &program, schedule).await?;
    let verdict = followed.verdict();
    let is_violated = verdict == Verdict::Violation;
    let shown = Witness::of(&setup.target.describe(), &program, &followed.run);
    let replay_line = match is_violated {
        true => args
            .witness
            .write_as_is(&setup, &program, &followed.run, &args.flags())?,
        false => String::new(),
    };
    output::write(&format!(
        "\n{}\n{followed}\nagain:    rowlock {again}\n{replay_line}",
        timeline::render(&shown, wants_colour())
    ))?;
    unless_found(is_violated, runner.close().await)?;
    drop(setup);
    let Some(server) = Arc::into_inner(server) else {
        bail!("a run outlived its schedule");
    };
    unless_found(is_violated, server.stop().await)?;
    Ok(verdict)
}

/// The flags that follow the same schedule again, ready to paste.
fn repeat(args: &ExploreArgs, schedule: &Schedule) -> String {
    let schedule = schedule.to_string();
    // Parentheses mean something to a shell.
    let quoted = shlex::try_quote(&schedule).unwrap_or_else(|_| schedule.as_str().into());
    let flags = format!(
        "explore {} --buyers {} --schedule {quoted} {}",
        args.program,
        args.buyers,
        args.flags()
    );
    flags.trim_end().to_owned()
}
