//! How a service is started, made ready and stopped.

use std::path::PathBuf;
use std::time::Duration;

use crate::answer::StatusSet;
use crate::template::{MissingVariable, Template};
use crate::variables::Variables;

/// The service and what runs beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// What is started.
    pub process: Process,
    /// How many of it, at least 1.
    pub replicas: u16,
    /// The port that it is on whatever it is told; any free one if there is none.
    pub port: Option<u16>,
    /// What else is started, once for all replicas.
    pub auxiliary: Vec<Process>,
    /// Files that are written before anything starts.
    pub files: Vec<FileTemplate>,
    /// How it says that it is ready.
    pub ready: Ready,
    /// How it is stopped.
    pub stop: Stop,
}

/// One program with its surroundings. `env` is added to the harness's own environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// What is run.
    pub command: Command,
    /// Where.
    pub directory: PathBuf,
    /// Its environment, the service's included.
    pub env: Vec<(String, Template)>,
}

/// A command line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command {
    /// A program and its arguments, at least one word. What a variable brings is never split.
    Words(Vec<Template>),
    /// What `sh -c` is given.
    Shell(Template),
}

/// A file that is written from a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTemplate {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub text: Template,
}

/// How a service says that it is ready: by an answer to a GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// The path that is asked for.
    pub path: Template,
    /// The statuses that say so.
    pub status: StatusSet,
    /// How long that may take.
    pub within: Duration,
}

/// How a service is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// What it is sent.
    pub signal: Signal,
    /// How long it may take before it is killed.
    pub within: Duration,
}

/// A signal that stops a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// SIGTERM.
    Term,
    /// SIGINT.
    Int,
    /// SIGQUIT.
    Quit,
    /// SIGHUP.
    Hup,
    /// SIGKILL.
    Kill,
}

impl Command {
    /// The program and its arguments with the variables filled in.
    pub fn fill(&self, variables: &Variables) -> Result<Vec<String>, MissingVariable> {
        match self {
            Command::Words(words) => words.iter().map(|word| word.fill(variables)).collect(),
            Command::Shell(text) => {
                let text = text.fill(variables)?;
                Ok(vec!["sh".to_owned(), "-c".to_owned(), text])
            }
        }
    }
}

impl Process {
    /// What is added to the environment, with the variables filled in.
    pub fn fill_env(
        &self,
        variables: &Variables,
    ) -> Result<Vec<(String, String)>, MissingVariable> {
        let fill = |(name, value): &(String, Template)| Ok((name.clone(), value.fill(variables)?));
        self.env.iter().map(fill).collect()
    }
}

impl Default for Ready {
    /// Any answer below 500, or 501, at `/` within 30 s.
    fn default() -> Self {
        Self {
            path: Template::literal("/"),
            status: StatusSet {
                ranges: vec![(100, 499), (501, 501)],
            },
            within: Duration::from_secs(30),
        }
    }
}

impl Default for Stop {
    /// SIGTERM, and 5 s.
    fn default() -> Self {
        Self {
            signal: Signal::Term,
            within: Duration::from_secs(5),
        }
    }
}
