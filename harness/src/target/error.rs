//! Why a target does not start.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a target could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The command line names no program.
    #[error("{0:?} is no command line: it is empty or has an open quote")]
    CommandLine(String),
    /// No port was free for it.
    #[error("no free port for the target")]
    Port(#[source] io::Error),
    /// The program could not be run.
    #[error("cannot run {program:?}")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The program ended before it answered.
    #[error("{name} ended before it answered on $PORT ({status}); its last output:\n{output}")]
    Ended {
        /// What the report calls the target.
        name: String,
        /// How it ended.
        status: String,
        /// The end of its output.
        output: String,
    },
    /// The program never answered.
    #[error(
        "{name} gave no HTTP answer on $PORT within {} s; its last output:\n{output}",
        start_timeout.as_secs()
    )]
    Silent {
        /// What the report calls the target.
        name: String,
        /// For how long it was waited for.
        start_timeout: Duration,
        /// The end of its output.
        output: String,
    },
    /// A variable that the contract uses and nobody has set.
    #[error("{}", file.display())]
    Variable {
        /// The contract.
        file: PathBuf,
        /// The variable.
        source: rowlock_contract::template::MissingVariable,
    },
    /// A file that the contract writes could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A command of the contract failed.
    #[error("`{command}` failed ({status}); its last output:\n{output}")]
    Command {
        /// The command.
        command: String,
        /// How it ended.
        status: String,
        /// The end of its output.
        output: String,
    },
    /// A service could not be started in this process.
    #[error("cannot start the service in-process")]
    InProcess(#[source] Box<dyn std::error::Error + Send + Sync>),
}
