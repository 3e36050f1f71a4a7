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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rowlock_postgres::Port;
use rustix::process::Signal;

pub use described::Described;
use described::Written;
pub use error::TargetError;
pub use in_process::{Local, Serving};
use launch::{Launch, Ready};
pub use process_tree::ProcessTree;
pub use spec::{Keys, OnConflict, START_TIMEOUT, TargetSpec};

/// A running target.
#[derive(Debug)]
pub struct Target {
    addresses: Vec<SocketAddr>,
    on_conflict: OnConflict,
    keys: Keys,
    running: Running,
}

#[derive(Debug)]
enum Running {
    InProcess(Serving),
    Trees {
        trees: Trees,
        /// What was written for them.
        files: Vec<Written>,
    },
}

/// A process, with the port that is its own until it has ended.
type Tree = (ProcessTree, Option<Port>);

/// The processes of a target.
#[derive(Debug, Clone, Default)]
struct Trees(Arc<Mutex<Vec<Tree>>>);

impl Trees {
    fn new(trees: Vec<Tree>) -> Trees {
        Trees(Arc::new(Mutex::new(trees)))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Tree>> {
        // Whoever panicked left a list as good as before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops all of them, and gives the ports, which nobody uses any more.
    async fn stop(&self) -> Vec<Option<Port>> {
        let trees = std::mem::take(&mut *self.lock());
        let stop = |(tree, port): Tree| async move {
            tree.stop().await;
            port
        };
        futures::future::join_all(trees.into_iter().map(stop)).await
    }
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
                    keys: service.keys(),
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
                keys,
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
                    keys: *keys,
                    running: Running::Trees {
                        trees: Trees::new(trees),
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

    /// What it promises of keys.
    pub fn keys(&self) -> Keys {
        self.keys
    }

    /// Where replica `index` listens, counted round and round.
    pub fn address(&self, index: usize) -> SocketAddr {
        self.addresses[index % self.addresses.len()]
    }

    /// Tells from outside, at any time, whether the target has something to do; of a target in
    /// this process that is not known.
    pub fn activity(&self) -> impl Fn() -> bool + Send + Sync + 'static {
        let trees = match &self.running {
            Running::InProcess(_) => Trees::default(),
            Running::Trees { trees, .. } => trees.clone(),
        };
        move || {
            let trees = trees.lock();
            trees
                .iter()
                .any(|(tree, _)| process_tree::is_busy(tree.pid()))
        }
    }

    /// How a process that was started for the target ended, with what it said of it, if one did by
    /// itself; of a target in this process that is not known.
    pub fn exited(&self) -> Option<String> {
        match &self.running {
            Running::InProcess(_) => None,
            Running::Trees { trees, .. } => trees.lock().iter().find_map(|(tree, _)| tree.ended()),
        }
    }

    /// Ends what a contract describes, and starts it anew at the same addresses, against the database at
    /// `url`; of any other target nothing is done.
    ///
    /// # Errors
    /// As [`Target::start`].
    pub(crate) async fn restart(
        &self,
        described: &Described,
        url: &str,
    ) -> Result<(), TargetError> {
        let Running::Trees { trees, .. } = &self.running else {
            return Ok(());
        };
        let ports = trees.stop().await.into_iter().flatten();
        let ports = ports.map(Some).chain(std::iter::repeat_with(|| None));
        let places = self.addresses.iter().copied().zip(ports).collect();
        let started = described.start_at(url, places).await?;
        *trees.lock() = started;
        Ok(())
    }

    /// Stops the target with everything that it started.
    pub async fn stop(self) {
        match self.running {
            Running::InProcess(serving) => serving.stop().await,
            Running::Trees { trees, files } => {
                // A port was the tree's for as long as that could listen.
                drop(trees.stop().await);
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
