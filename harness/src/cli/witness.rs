//! What becomes of a violation that was found: shrunk, replayed, written down and shown.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::common::wants_colour;
use crate::explorer::search::Setup;
use crate::explorer::shrink::RUNS;
use crate::explorer::{Control, Outcome, Shrunk, Solo, Witness, columns, replay, shrink};

#[derive(Debug, Args)]
pub(super) struct WitnessArgs {
    /// Where violations are written, one file each, for `rowlock replay`
    #[arg(long, value_name = "DIR", default_value = "witnesses")]
    witness_dir: PathBuf,
}

impl WitnessArgs {
    /// Shrinks the violation in `outcome`, writes it down, and gives the text that shows it. It
    /// ends with the line that replays it, for which `flags` name the same server and target.
    pub(super) async fn write(
        &self,
        setup: &Setup,
        outcome: &Outcome,
        flags: &str,
    ) -> anyhow::Result<String> {
        let mut solo = Solo::new(setup.clone());
        let written = self.write_with(&mut solo, setup, outcome, flags).await;
        solo.close().await?;
        written
    }

    async fn write_with(
        &self,
        solo: &mut Solo,
        setup: &Setup,
        outcome: &Outcome,
        flags: &str,
    ) -> anyhow::Result<String> {
        let first = outcome.violated().next().context("there is no violation")?;
        let shrunk = shrink(solo, &setup.program, outcome, &first.name, RUNS).await?;
        let Shrunk {
            program,
            outcome: smallest,
            runs,
        } = shrunk;
        let target = setup.target.describe();
        let witness = Witness::new(&target, &program, &smallest).context("it was violated")?;
        let path = witness.write(&self.witness_dir)?;
        let (replayed, _) = replay(solo, &witness).await?;
        let mut text = columns::render(&witness, wants_colour());
        text += &format!(
            "shrunk:   in {runs} runs from {} buyers and schedule {}\n",
            setup.program.requests.len(),
            outcome.schedule
        );
        if let Control::Lost(why) = &smallest.control {
            text += &format!("control:  was lost, so it may not replay: {why}\n");
        }
        text += &format!("replayed: once, {replayed}\n");
        text += &columns::replay_line(&path, flags);
        Ok(text)
    }
}
