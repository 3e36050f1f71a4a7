//! How one process of a target is started, and how it shows that it is ready.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{ProcessTree, TargetError};
use crate::client::{Client, Clock};

/// How often a starting target is asked whether it is there.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How long one such question waits for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a target may take to end after it was asked to, unless its contract says so.
pub(super) const STOP_WITHIN: Duration = Duration::from_secs(15);

/// One process to start.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    /// What the report calls it.
    pub(super) name: String,
    /// The program.
    pub(super) program: PathBuf,
    /// Its arguments.
    pub(super) args: Vec<String>,
    /// Where it runs; where the harness does if there is none.
    pub(super) directory: Option<PathBuf>,
    /// What is added to the harness's environment.
    pub(super) env: Vec<(String, String)>,
    /// What asks it to end.
    pub(super) stop_signal: Signal,
    /// How long that may take.
    pub(super) stop_within: Duration,
}

/// When a process is ready.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    /// A path that it answers to a GET.
    pub(super) path: String,
    /// The statuses that say so, from and to.
    pub(super) statuses: Vec<(u16, u16)>,
    /// How long it may take to that.
    pub(super) within: Duration,
}

impl Ready {
    /// Any HTTP answer but a server error; a target need not know the path, nor even GET, which is
    /// 501.
    pub(super) fn at(path: &str, within: Duration) -> Ready {
        Ready {
            path: path.into(),
            statuses: vec![(100, 499), (501, 501)],
            within,
        }
    }

    async fn is_reached(&self, address: SocketAddr) -> bool {
        let Ok(mut client) = Client::connect(address, Clock::start(), PATIENCE).await else {
            return false;
        };
        let answer = client.get(&self.path).await;
        answer.is_ok_and(|answer| {
            let mut statuses = self.statuses.iter();
            statuses.any(|(from, to)| (*from..=*to).contains(&answer.status))
        })
    }
}

impl Launch {
    /// Starts the process without waiting for anything.
    pub(super) fn spawn(&self) -> Result<ProcessTree, TargetError> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().cloned());
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let tree = ProcessTree::spawn(&command).map_err(|source| TargetError::Spawn {
            program: self.program.clone(),
            source,
        })?;
        Ok(tree.stopped_by(self.stop_signal, self.stop_within))
    }

    /// Starts the process and waits until it is ready at `address`.
    pub(super) async fn start(
        &self,
        address: SocketAddr,
        ready: &Ready,
    ) -> Result<ProcessTree, TargetError> {
        let tree = self.spawn()?;
        let deadline = Instant::now() + ready.within;
        while !ready.is_reached(address).await {
            if let Some(status) = tree.exit_status() {
                return Err(TargetError::Ended {
                    name: self.name.clone(),
                    status: status.to_string(),
                    output: tree.output_tail(),
                });
            }
            if Instant::now() > deadline {
                return Err(TargetError::Silent {
                    name: self.name.clone(),
                    start_timeout: ready.within,
                    output: tree.output_tail(),
                });
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(tree)
    }
}
