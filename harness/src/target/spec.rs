//! What to start, before it is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Described, Local, TargetError};

/// How long a target may take from its start to its first HTTP answer, unless told otherwise.
pub const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What a service does with a call that meets others and cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// It promises to try again until the call is decided: no 409 is expected of it, and the
    /// answers to a known load are known exactly.
    TriesAgain,
    /// It may give way (409, 423, 429), and nothing has happened: what it answers has bounds.
    GivesWay,
}

/// What a service says of idempotency keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keys {
    /// It promises that a call which is repeated under its key happens once, and is held to it.
    Promised,
    /// It promises nothing: it is held to keys where it is seen to know them.
    #[default]
    AsSeen,
}

/// What to start.
#[derive(Debug, Clone)]
pub enum TargetSpec {
    /// A service that runs in this process.
    InProcess(Arc<dyn Local>),
    /// A program, in any language.
    Command {
        /// The program to run.
        program: PathBuf,
        /// Its arguments.
        args: Vec<String>,
        /// How many of it run against the one database.
        replicas: usize,
        /// What a report calls it.
        name: String,
        /// How long it may take to its first HTTP answer.
        start_timeout: Duration,
        /// What it does where it meets others.
        on_conflict: OnConflict,
        /// What it promises of keys.
        keys: Keys,
    },
    /// What a contract describes.
    Described(Described),
}

impl TargetSpec {
    /// A service in this process.
    pub fn in_process(service: impl Local + 'static) -> Self {
        TargetSpec::InProcess(Arc::new(service))
    }

    /// Any program, from a command line as a shell would split it; no shell runs.
    ///
    /// # Errors
    /// A command line that is empty, or has an open quote.
    pub fn command(line: &str, replicas: usize) -> Result<Self, TargetError> {
        let words = shlex::split(line).unwrap_or_default();
        let [program, args @ ..] = words.as_slice() else {
            return Err(TargetError::CommandLine(line.into()));
        };
        Ok(TargetSpec::Command {
            program: program.into(),
            args: args.to_vec(),
            replicas,
            name: line.into(),
            start_timeout: START_TIMEOUT,
            on_conflict: OnConflict::GivesWay,
            keys: Keys::AsSeen,
        })
    }

    /// The same, which promises keys; others than a command say so themselves.
    pub fn promising_keys(mut self) -> Self {
        if let TargetSpec::Command { keys, .. } = &mut self {
            *keys = Keys::Promised;
        }
        self
    }

    /// The same, with another bound on the time to its first HTTP answer.
    pub fn with_start_timeout(mut self, timeout: Duration) -> Self {
        if let TargetSpec::Command { start_timeout, .. } = &mut self {
            *start_timeout = timeout;
        }
        self
    }

    /// What the target does where it meets others.
    pub fn on_conflict(&self) -> OnConflict {
        match self {
            TargetSpec::InProcess(service) => service.on_conflict(),
            TargetSpec::Command { on_conflict, .. } => *on_conflict,
            TargetSpec::Described(_) => OnConflict::GivesWay,
        }
    }

    /// Whether two of it can run side by side.
    pub fn may_run_twice(&self) -> bool {
        match self {
            TargetSpec::InProcess(_) | TargetSpec::Command { .. } => true,
            TargetSpec::Described(described) => described.may_run_twice(),
        }
    }

    /// What a report calls the target.
    pub fn describe(&self) -> String {
        match self {
            TargetSpec::InProcess(service) => format!("{} in-process", service.name()),
            TargetSpec::Command {
                name, replicas: 1, ..
            } => name.clone(),
            TargetSpec::Command { name, replicas, .. } => format!("{name}, {replicas} replicas"),
            TargetSpec::Described(Described { contract, .. }) => match contract.service.replicas {
                1 => contract.name.clone(),
                replicas => format!("{}, {replicas} replicas", contract.name),
            },
        }
    }
}
