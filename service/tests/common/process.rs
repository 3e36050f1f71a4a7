//! The service as a process of its own.

use std::net::SocketAddr;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use super::BOUND;

/// The binary with an environment of nothing but `variables`.
pub fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_purchase-service"));
    let variables = variables.iter().copied();
    command
        .env_clear()
        .envs(variables)
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What a process says on stderr. Kept as long as the process: a closed pipe would break its log.
pub struct Log(Lines<BufReader<ChildStderr>>);

impl Log {
    pub fn of(child: &mut Child) -> Self {
        Self(BufReader::new(child.stderr.take().unwrap()).lines())
    }

    /// Waits for a line with `words`, and returns what follows them.
    pub async fn after(&mut self, words: &str) -> String {
        let search = async {
            while let Some(line) = self.0.next_line().await.unwrap() {
                if let Some((_, rest)) = line.split_once(words) {
                    return rest.to_owned();
                }
            }
            panic!("the service ended before it said {words:?}");
        };
        timeout(BOUND, search).await.unwrap()
    }

    /// Waits for the next line.
    pub async fn next(&mut self) -> String {
        let line = timeout(BOUND, self.0.next_line()).await.unwrap().unwrap();
        line.expect("the service ended before it said any more")
    }
}

/// Waits until the process listens.
pub async fn listening(child: &mut Child) -> (SocketAddr, Log) {
    let mut log = Log::of(child);
    let address = log.after("listening address=").await;
    (address.parse().unwrap(), log)
}

/// Sends the process a signal.
pub fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().unwrap() as i32).unwrap();
    kill_process(pid, signal).unwrap();
}
