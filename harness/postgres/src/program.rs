//! A program that the harness runs and that never outlives it.
//!
//! It leads a process group of its own and is under a janitor's watch from its start until it
//! has been waited for. Standard library only: no part of it is tied to one tokio runtime.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::janitor::Janitor;

/// How long one look waits for the next.
pub(super) const PAUSE: Duration = Duration::from_millis(2);

/// PostgreSQL itself kills what does not heed SIGQUIT after five seconds.
const OBEYS_WITHIN: Duration = Duration::from_secs(7);

#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    janitor: Arc<Janitor>,
}

impl Program {
    /// Starts `command`, whose output goes where `prepare` says.
    pub(super) fn spawn(
        command: &Command,
        janitor: &Arc<Janitor>,
        prepare: impl FnOnce(&mut Command) -> io::Result<()>,
    ) -> io::Result<Program> {
        Ok(Program {
            child: janitor.spawn(command, Signal::QUIT, prepare)?,
            janitor: Arc::clone(janitor),
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `None` while it runs.
    pub(super) fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sends `signal` to the process alone; does nothing once it has ended.
    pub(super) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.status()?.is_none() {
            kill_process(Pid::from_child(&self.child), signal)?;
        }
        Ok(())
    }

    /// Waits until it has ended; `None` when `bound` has passed and it still runs.
    pub(super) async fn ended(&mut self, bound: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + bound;
        loop {
            let status = self.status()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "the pause between two looks at a condition"
    )]
    fn end(&mut self) -> io::Result<()> {
        self.signal(Signal::QUIT)?;
        let deadline = Instant::now() + OBEYS_WITHIN;
        while self.status()?.is_none() {
            if Instant::now() >= deadline {
                self.child.kill()?;
                self.child.wait()?;
            }
            std::thread::sleep(PAUSE);
        }
        self.janitor.forget(self.child.id())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // What fails here is left to the janitor, which still watches the group.
        let _ = self.end();
    }
}
