//! The service under test: ours in this process, or any program that listens on `$PORT` and
//! uses `$DATABASE_URL`.
//!
//! A target is started against one database, waited for until it answers, and stopped with
//! everything that it started.

mod described;
mod in_process;
mod launch;
mod process_tree;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use described::Described;
use described::Written;
use in_process::InProcess;
pub use in_process::{BuildPurchaser, OURS};
use launch::{Launch, Ready};
pub use process_tree::ProcessTree;

use rowlock_postgres::Port;
use rustix::process::Signal;

/// How long a target may take from its start to its first HTTP answer, unless told otherwise.
pub const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What a service does with a purchase that meets others and cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// It promises to try again until the purchase is decided: no 409 is expected of it, and the
    /// answers to a known load are known exactly.
    TriesAgain,
    /// It may give way (409), and nothing has happened: what it answers has bounds.
    GivesWay,
}

/// What to start.
#[derive(Debug, Clone)]
pub enum TargetSpec {
    /// Our HTTP layer in this process, with the purchase that `BuildPurchaser` makes.
    InProcess(BuildPurchaser),
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
    },
    /// What a contract describes.
    Described(Described),
}

impl TargetSpec {
    /// Our service in processes of its own: `rowlock`, which is `program`, started again.
    pub fn ours(program: &Path, replicas: usize) -> Self {
        TargetSpec::Command {
            program: program.to_owned(),
            args: vec!["target".into()],
            replicas,
            name: "purchase-service".into(),
            start_timeout: START_TIMEOUT,
            on_conflict: OURS.on_conflict,
        }
    }

    /// A mutant in processes of its own, likewise.
    pub fn mutant(program: &Path, mutant: BuildPurchaser, replicas: usize) -> Self {
        TargetSpec::Command {
            program: program.to_owned(),
            args: vec!["target".into(), "--mutant".into(), mutant.name.into()],
            replicas,
            name: format!("mutant {}", mutant.name),
            start_timeout: START_TIMEOUT,
            on_conflict: mutant.on_conflict,
        }
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
        })
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
            TargetSpec::InProcess(build) => build.on_conflict,
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
            TargetSpec::InProcess(build) => format!("{} in-process", build.name),
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
    /// Our service could not be started in this process.
    #[error("cannot start the service in-process")]
    InProcess(#[source] purchase_service::service::StartError),
}

/// A running target.
#[derive(Debug)]
pub struct Target {
    addresses: Vec<SocketAddr>,
    on_conflict: OnConflict,
    running: Running,
}

#[derive(Debug)]
enum Running {
    InProcess(InProcess),
    Trees {
        /// Each with the port that is its own until it has ended.
        trees: Vec<(ProcessTree, Option<Port>)>,
        /// What was written for them.
        files: Vec<Written>,
    },
}

impl Target {
    /// Starts `spec` against the database at `url`, with `env` beside, and waits until it answers.
    ///
    /// # Errors
    /// [`TargetError`], with the program's own last words.
    pub async fn start(
        spec: &TargetSpec,
        url: &str,
        env: &[(String, String)],
    ) -> Result<Target, TargetError> {
        match spec {
            TargetSpec::InProcess(build) => {
                let service = InProcess::start(*build, url, env).await?;
                let addresses = vec![service.address()];
                Ok(Target {
                    addresses,
                    on_conflict: build.on_conflict,
                    running: Running::InProcess(service),
                })
            }
            TargetSpec::Command {
                program,
                args,
                replicas,
                name,
                start_timeout,
                on_conflict,
            } => {
                let ready = Ready::at("/healthz", *start_timeout);
                let launch = |address: SocketAddr| Launch {
                    name: name.clone(),
                    program: program.clone(),
                    args: args.clone(),
                    directory: None,
                    env: env.iter().cloned().chain(told(url, address)).collect(),
                    stop_signal: Signal::TERM,
                    stop_within: launch::STOP_WITHIN,
                };
                let mut addresses = Vec::new();
                let mut trees = Vec::new();
                for _ in 0..*replicas {
                    let port = Port::reserve().map_err(TargetError::Port)?;
                    let address = port.address();
                    let tree = launch(address).start(address, &ready).await?;
                    addresses.push(address);
                    trees.push((tree, Some(port)));
                }
                Ok(Target {
                    addresses,
                    on_conflict: *on_conflict,
                    running: Running::Trees {
                        trees,
                        files: Vec::new(),
                    },
                })
            }
            TargetSpec::Described(described) => described.start(url).await,
        }
    }

    /// What it does where it meets others.
    pub fn on_conflict(&self) -> OnConflict {
        self.on_conflict
    }

    /// Where replica `index` listens, counted round and round.
    pub fn address(&self, index: usize) -> SocketAddr {
        self.addresses[index % self.addresses.len()]
    }

    /// Tells from outside, at any time, whether the target has something to do; of a target in
    /// this process that is not known.
    pub fn activity(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let leaders: Vec<_> = match &self.running {
            Running::InProcess(_) => Vec::new(),
            Running::Trees { trees, .. } => trees.iter().map(|(tree, _)| tree.pid()).collect(),
        };
        move || leaders.iter().any(|leader| process_tree::is_busy(*leader))
    }

    /// How a process that was started for the target ended, with what it said of it, if one did by
    /// itself; of a target in this process that is not known.
    pub fn exited(&self) -> Option<String> {
        match &self.running {
            Running::InProcess(_) => None,
            Running::Trees { trees, .. } => trees.iter().find_map(|(tree, _)| tree.ended()),
        }
    }

    /// Stops the target with everything that it started.
    pub async fn stop(self) {
        match self.running {
            Running::InProcess(service) => service.stop().await,
            Running::Trees { trees, files } => {
                let stop = |(tree, port): (ProcessTree, Option<Port>)| async move {
                    tree.stop().await;
                    // It was the tree's for as long as that could listen.
                    drop(port);
                };
                futures::future::join_all(trees.into_iter().map(stop)).await;
                drop(files);
            }
        }
    }
}

/// What every program is told that has no contract to say how.
fn told(url: &str, address: SocketAddr) -> impl Iterator<Item = (String, String)> {
    let told = [
        ("DATABASE_URL", url.to_owned()),
        ("HOST", address.ip().to_string()),
        ("PORT", address.port().to_string()),
    ];
    told.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
}
