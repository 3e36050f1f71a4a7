//! What is written of a run beside standard output: a page, and what GitHub and GitLab show of it.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::output;
use crate::report::html::Page;
use crate::report::{github, gitlab};

#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    /// Also write the report as one HTML page, which opens from disk
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Annotations for GitHub, one for each finding and at most ten: on by themselves where its runner
    /// is, which GITHUB_ACTIONS says; where GITHUB_STEP_SUMMARY names a file, a summary is added to it
    #[arg(long, value_enum, value_name = "WHERE", default_value_t = Annotations::Auto)]
    annotations: Annotations,
    /// Also write the findings as GitLab's code-quality report, a JSON file
    #[arg(long, value_name = "FILE")]
    code_quality: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Annotations {
    /// Where the variables of a runner say that there is one
    Auto,
    /// For GitHub, wherever this runs
    Github,
    /// Nowhere, and no summary
    None,
}

impl PublishArgs {
    /// Writes `page` to all who want it; `text` is the same for people.
    pub(super) fn publish(&self, page: &Page, text: &str) -> anyhow::Result<()> {
        if let Some(path) = &self.html {
            write(path, &page.render())?;
        }
        if let Some(path) = &self.code_quality {
            write(path, &gitlab::code_quality(page))?;
        }
        if self.annotations == Annotations::None {
            return Ok(());
        }
        let is_runner = std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
        if is_runner || self.annotations == Annotations::Github {
            // The runner reads standard error, too, and a report as JSON stays whole.
            github::annotations(page)
                .iter()
                .for_each(|line| output::complain(line));
        }
        match std::env::var_os("GITHUB_STEP_SUMMARY") {
            Some(path) if !path.is_empty() => add_summary(Path::new(&path), page, text),
            _ => Ok(()),
        }
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Adds the summary to what the step's other commands have said, as far as there is room.
fn add_summary(path: &Path, page: &Page, text: &str) -> anyhow::Result<()> {
    let failed = || format!("cannot write GITHUB_STEP_SUMMARY, {}", path.display());
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    let mut file = file.with_context(failed)?;
    let written = file.metadata().with_context(failed)?.len();
    let written = usize::try_from(written).unwrap_or(usize::MAX);
    let room = github::MOST_SUMMARY.saturating_sub(written);
    let summary = github::summary(page, text, room);
    file.write_all(summary.as_bytes()).with_context(failed)
}
