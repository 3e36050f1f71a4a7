//! What a shell and `man` know of the command, made from the command line's own description.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, output};

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// Whose completions, to be written where that shell looks for them
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Where the pages are written: rowlock.1, and one for each command
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rowlock", &mut script);
    output::write(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let failed = |path: &Path| format!("cannot write {}", path.display());
    let directory = &args.directory;
    std::fs::create_dir_all(directory).with_context(|| failed(directory))?;
    clap_mangen::generate_to(Cli::command(), directory).with_context(|| failed(directory))?;
    Ok(ExitCode::SUCCESS)
}
