//! What is written of a run beside standard output: a page, and what GitHub and GitLab show of it.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use rowlock_core::verdict::Verdict;

use super::common::quoted;
use super::output;
use crate::report::html::Page;
use crate::report::known::{Known, KnownError};
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
    /// Violations that are known: only others fail, and what is resolved must be taken out
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write what is found into the baseline, and take out what is resolved
    #[arg(long, requires = "baseline")]
    update_baseline: bool,
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
    /// Gives the verdict: the page's, or where there is a baseline, what is left beside it.
    ///
    /// What fails after a violation was found is said, and takes nothing from it.
    pub(super) fn publish(&self, page: &Page, text: &str) -> anyhow::Result<Verdict> {
        match self.write(page, text).and_then(|()| self.compare(page)) {
            Err(error) if page.verdict == Verdict::Violation => {
                output::complain(&format!("error: {error:#}"));
                Ok(Verdict::Violation)
            }
            compared => compared,
        }
    }

    /// The page's verdict, or what is left of it beside the baseline.
    fn compare(&self, page: &Page) -> anyhow::Result<Verdict> {
        let Some(path) = &self.baseline else {
            return Ok(page.verdict);
        };
        let mut known = match Known::read(path) {
            Err(KnownError::File { source, .. })
                if self.update_baseline && source.kind() == ErrorKind::NotFound =>
            {
                Known::default()
            }
            known => known?,
        };
        if self.update_baseline {
            known.update(page);
            known.write(path)?;
        }
        let compared = known.compare(page);
        output::complain(compared.render(path).trim_end());
        Ok(compared.verdict)
    }

    /// Whether violations may be known.
    pub(super) fn has_baseline(&self) -> bool {
        self.baseline.is_some()
    }

    /// The flag that names the same baseline, if there is one.
    pub(super) fn repeat_baseline(&self) -> Option<String> {
        let path = self.baseline.as_ref()?;
        Some(format!(
            "--baseline {}",
            quoted(&path.display().to_string())
        ))
    }

    fn write(&self, page: &Page, text: &str) -> anyhow::Result<()> {
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
