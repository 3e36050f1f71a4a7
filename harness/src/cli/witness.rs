//! What becomes of a violation that was found: shrunk, replayed, written down and shown.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::common::wants_colour;
use crate::explorer::shrink::RUNS;
use rowlock_core::program::Program;

use crate::explorer::{Run, SerialRunner, Setup, Shrunk, Witness, replay, shrink, timeline};
use crate::subject::Subject;

#[derive(Debug, Args)]
pub(super) struct WitnessArgs {
    /// Where violations are written, one file each, for `rowlock replay`
    #[arg(long, value_name = "DIR", default_value = "witnesses")]
    witness_dir: PathBuf,
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
    ) -> anyhow::Result<String> {
        let mut runner = SerialRunner::new(setup.clone());
        let text = self.write_with(&mut runner, setup, program, run, flags, again);
        let mut text = text.await?;
        if let Err(error) = runner.close().await {
            text.insert_str(0, &format!("left behind: {}\n", error.in_full()));
        }
        Ok(text)
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
    ) -> anyhow::Result<String> {
        let first = run.violated().next().context("there is no violation")?;
        let (count, client) = (program.call_count(), S::Program::CLIENT);
        let shrunk = shrink(runner, program, run, &first.name, RUNS).await;
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
        let mut text = timeline::render(&witness, wants_colour());
        text += &format!("shrunk:   {how}\n");
        if let Some(why) = smallest.execution.control.lost() {
            text += &format!("control:  was lost, so it may not replay: {why}\n");
        }
        text += &match replay(runner, &witness).await {
            Ok((replayed, _)) => format!("replayed: once, {replayed}\n"),
            Err(error) => format!("replayed: not: {}\n", error.in_full()),
        };
        text += &match witness.write(&self.witness_dir) {
            Ok(path) => timeline::replay_line(&path, flags),
            Err(error) => format!(
                "witness:  not written: {:#}\nagain:    rowlock {again}\n",
                anyhow::Error::new(error)
            ),
        };
        Ok(text)
    }
}
