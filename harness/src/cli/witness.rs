//! What becomes of a violation that was found: shrunk, replayed, written down and shown.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::common::wants_colour;
use crate::explorer::shrink::RUNS;
use rowlock_core::error::in_full;
use rowlock_core::program::Program;

use crate::explorer::{Run, SerialRunner, Setup, Shrunk, Witness, replay, shrink, timeline};
use crate::report::html::Violation;
use crate::subject::Subject;

/// How many choices shrinking may make in all: so that long stories, whose runs take as much longer,
/// are not shrunk for minutes.
const SHRINKING_CHOICES: usize = 20_000;

#[derive(Debug, Args)]
pub(super) struct WitnessArgs {
    /// Where violations are written, one file each, for `rowlock replay`
    #[arg(long, value_name = "DIR", default_value = "witnesses")]
    witness_dir: PathBuf,
}

/// What shows a violation.
#[derive(Debug)]
pub(super) struct Evidence {
    /// For people.
    pub(super) text: String,
    /// The same as a drawing.
    pub(super) drawn: Violation,
    /// The file, where one was written.
    pub(super) path: Option<PathBuf>,
}

impl WitnessArgs {
    /// Shrinks the violation in `run`, writes it down, and gives the text that shows it. It
    /// ends with the line that replays it, for which `flags` name the same server and target.
    ///
    /// A violation that was found is shown whatever fails after it: what could not be done with
    /// it is said, and where nothing could be written, the text ends with `again` instead, the
    /// command line that finds it once more.
    pub(super) async fn write<S: Subject>(
        &self,
        setup: &Setup<S>,
        program: &S::Program,
        run: &Run<S::Program>,
        flags: &str,
        again: &str,
    ) -> anyhow::Result<Evidence> {
        let mut runner = SerialRunner::new(setup.clone());
        let evidence = self.write_with(&mut runner, setup, program, run, flags, again);
        let mut evidence = evidence.await?;
        if let Err(error) = runner.close().await {
            let left = format!("left behind: {}\n", error.in_full());
            evidence.text.insert_str(0, &left);
        }
        Ok(evidence)
    }

    /// Writes down the violation in `run` as it is, if it is one, and gives the line that replays
    /// it, for which `flags` name the same server and target.
    pub(super) fn write_as_is<S: Subject>(
        &self,
        setup: &Setup<S>,
        program: &S::Program,
        run: &Run<S::Program>,
        flags: &str,
    ) -> anyhow::Result<String> {
        let target = setup.target.describe();
        match Witness::new(&target, program, run) {
            Some(witness) => {
                let path = witness.write(&self.witness_dir)?;
                Ok(timeline::replay_line(&path, flags))
            }
            None => Ok(String::new()),
        }
    }

    async fn write_with<S: Subject>(
        &self,
        runner: &mut SerialRunner<S>,
        setup: &Setup<S>,
        program: &S::Program,
        run: &Run<S::Program>,
        flags: &str,
        again: &str,
    ) -> anyhow::Result<Evidence> {
        let first = run.violated().next().context("there is no violation")?;
        let (count, client) = (program.call_count(), S::Program::CLIENT);
        let choices = run.execution.schedule.0.len().max(1);
        let runs = RUNS.min(SHRINKING_CHOICES / choices);
        let shrunk = shrink(runner, program, run, &first.name, runs).await;
        let (program, smallest, how) = match shrunk {
            Ok(Shrunk {
                program,
                run: smallest,
                runs,
            }) => {
                let schedule = &run.execution.schedule;
                let how = format!("in {runs} runs from {count} {client}s and schedule {schedule}");
                (program, smallest, how)
            }
            Err(error) => {
                let how = format!("not: {}", error.in_full());
                (program.clone(), run.clone(), how)
            }
        };
        let target = setup.target.describe();
        let witness = Witness::new(&target, &program, &smallest).context("it was violated")?;
        let mut notes = vec![("shrunk", how)];
        if let Some(why) = smallest.execution.control.lost() {
            notes.push(("control", format!("was lost, so it may not replay: {why}")));
        }
        let replayed = match replay(runner, &witness).await {
            Ok((replayed, _)) => format!("once, {replayed}"),
            Err(error) => format!("not: {}", error.in_full()),
        };
        notes.push(("replayed", replayed));
        let written = witness.write(&self.witness_dir);
        match &written {
            Ok(path) => notes.push(("replay", timeline::replay_command(path, flags))),
            Err(error) => {
                notes.push(("witness", format!("not written: {}", in_full(error))));
                notes.push(("again", format!("rowlock {again}")));
            }
        }
        let mut text = timeline::render(&witness, wants_colour());
        let mut drawn = Violation::of(&witness);
        for (name, value) in notes {
            let label = format!("{name}:");
            text += &format!("{label:<9} {value}\n");
            drawn.notes.push((name.to_owned(), value));
        }
        Ok(Evidence {
            text,
            drawn,
            path: written.ok(),
        })
    }
}
