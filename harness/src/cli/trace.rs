//! `--trace FILE`, and what becomes of the file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::exit_code::Exit;
use super::output;
use crate::trace::TraceFile;

#[derive(Debug, Clone, Args)]
pub(super) struct TraceArgs {
    /// Write every step that the target sends PostgreSQL, and what came back, to FILE: as JSON
    /// Lines where its name ends in .jsonl, .ndjson or .json, else for people
    #[arg(long = "trace", value_name = "FILE")]
    path: Option<PathBuf>,
    /// Write the runs to FILE in the trace-event format, which Perfetto opens: a process for each session
    /// of PostgreSQL, a thread for each request, a flow for each wait for a lock
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    chrome_trace: Option<PathBuf>,
}

impl TraceArgs {
    /// Makes the file before `command` starts anything, and closes it whatever comes of that.
    ///
    /// A file that cannot be made is wrong usage. One that takes no more lines is said, and takes
    /// nothing from what the command found.
    pub(super) async fn with(
        &self,
        command: impl AsyncFnOnce(Option<TraceFile>) -> anyhow::Result<ExitCode>,
    ) -> anyhow::Result<ExitCode> {
        let (path, created) = match (&self.path, &self.chrome_trace) {
            (Some(path), _) => (path, TraceFile::create(path)),
            (None, Some(path)) => (path, TraceFile::create_chrome(path)),
            (None, None) => return command(None).await,
        };
        let file = match created {
            Ok(file) => file,
            Err(error) => {
                let path = path.display();
                output::complain(&format!("error: cannot write the trace {path}: {error}"));
                return Ok(Exit::Usage.into());
            }
        };
        let done = command(Some(file.clone())).await;
        let Err(error) = file.close() else {
            return done;
        };
        let path = path.display();
        output::complain(&format!("error: the trace {path} is not whole: {error}"));
        done.map(|code| match code == ExitCode::SUCCESS {
            true => Exit::Environment.into(),
            false => code,
        })
    }
}
