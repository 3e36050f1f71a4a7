//! The service under test: one in this process, any program that listens on `$PORT` and uses
//! `$DATABASE_URL`, or one as its contract describes it.
//!
//! A target is started against one database, waited for until it answers, and stopped with
//! everything that it started. What it serves is not known here.
//!
//! ```text
//! spec          what to start                      error    why it does not start
//! in_process    a service in this process          described  one that a contract describes
//! launch        one process, until it is ready     process_tree  it and all that it starts
//! ```

mod described;
mod error;
mod in_process;
mod launch;
mod process_tree;
mod spec;

use std::net::SocketAddr;

use rowlock_postgres::Port;
use rustix::process::Signal;

pub use described::Described;
use described::Written;
pub use error::TargetError;
pub use in_process::{Local, Serving};
use launch::{Launch, Ready};
pub use process_tree::ProcessTree;
pub use spec::{OnConflict, START_TIMEOUT, TargetSpec};

/// A running target.
#[derive(Debug)]
pub struct Target {
    addresses: Vec<SocketAddr>,
    on_conflict: OnConflict,
    running: Running,
}

#[derive(Debug)]
enum Running {
    InProcess(Serving),
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
            TargetSpec::InProcess(service) => {
                let started = service.start(url, env).await;
                let serving = started.map_err(TargetError::InProcess)?;
                Ok(Target {
                    addresses: vec![serving.address()],
                    on_conflict: service.on_conflict(),
                    running: Running::InProcess(serving),
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
            Running::InProcess(serving) => serving.stop().await,
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
