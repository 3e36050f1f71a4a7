//! A program and everything that it starts, ended as a whole.
//!
//! The program leads a process group of its own; what leaves that group is found by its
//! ancestry where `/proc` tells it. A janitor ends the group where the harness itself is killed;
//! it does not see what has left the group.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use super::launch::STOP_WITHIN;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, kill_process_group,
    test_kill_process, waitid,
};

use rowlock_postgres::Janitor;

/// How often the end of a process is asked for.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// How much of a program's output an error shows, in bytes from its end.
const TAIL: usize = 2000;

/// A running program with its descendants and its output.
#[derive(Debug)]
pub struct ProcessTree {
    leader: Child,
    log: tempfile::NamedTempFile,
    janitor: Janitor,
    /// What asks it to end, and how long that may take before it is killed.
    stop_by: (Signal, Duration),
}

impl ProcessTree {
    /// Starts `command` in a process group of its own, its output going to a temporary file.
    ///
    /// # Errors
    /// A program that cannot be started, or no room for its output.
    pub fn spawn(command: &Command) -> io::Result<ProcessTree> {
        let log = tempfile::Builder::new()
            .prefix("rowlock-target-")
            .tempfile()?;
        let janitor = Janitor::start(&[log.path()])?;
        let leader = janitor.spawn(command, Signal::TERM, |command| {
            command.stdout(append(&log)?).stderr(append(&log)?);
            Ok(())
        })?;
        Ok(ProcessTree {
            leader,
            log,
            janitor,
            stop_by: (Signal::TERM, STOP_WITHIN),
        })
    }

    /// The same, asked to end by `signal` and killed after `within`.
    pub(super) fn stopped_by(mut self, signal: Signal, within: Duration) -> ProcessTree {
        self.stop_by = (signal, within);
        self
    }

    /// How the program ended, if it did. It stays to be waited for until this is dropped: a number
    /// that another process has by then must not be killed.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        let status = self.status()?;
        let code = status.exit_status().map(|code| code << 8);
        let raw = code.or(status.terminating_signal())?;
        Some(ExitStatus::from_raw(raw))
    }

    fn status(&self) -> Option<WaitIdStatus> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(self.pid()), options).ok().flatten()
    }

    /// How the program ended and what it said of it, in words, if it has ended.
    pub(super) fn ended(&self) -> Option<String> {
        let status = self.status()?;
        let how = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "nobody knows how".to_owned(),
        };
        let output = fs::read(self.log.path()).unwrap_or_default();
        Some(match last_words(&String::from_utf8_lossy(&output)) {
            None => how,
            Some(words) => format!("{how}; it said: {words}"),
        })
    }

    /// The last of what the program printed.
    pub fn output_tail(&self) -> String {
        let output = fs::read(self.log.path()).unwrap_or_default();
        let tail = &output[output.len().saturating_sub(TAIL)..];
        String::from_utf8_lossy(tail).trim().to_owned()
    }

    /// The program's process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.leader)
    }

    /// Asks the tree to end (SIGTERM unless told otherwise), and kills what has not ended within its
    /// bound.
    pub async fn stop(self) {
        let tree = self.members();
        let (signal, within) = self.stop_by;
        self.signal(&tree, signal);
        let deadline = Instant::now() + within;
        while self.is_alive(&tree) && Instant::now() < deadline {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        // Drop kills whatever is left.
    }

    /// Waits until the program has ended by itself: how, and the last of what it printed.
    pub(super) async fn finish(self) -> (Option<ExitStatus>, String) {
        let status = loop {
            match self.exit_status() {
                None => tokio::time::sleep(POLL_INTERVAL).await,
                status => break status,
            }
        };
        (status, self.output_tail())
    }

    /// Everything that descends from the leader, itself included.
    fn members(&self) -> HashSet<Pid> {
        members_of(self.pid())
    }

    /// Whether the leader or any other member still runs.
    fn is_alive(&self, tree: &HashSet<Pid>) -> bool {
        let leader = self.pid();
        self.exit_status().is_none()
            || tree
                .iter()
                .any(|pid| *pid != leader && test_kill_process(*pid).is_ok())
    }

    fn signal(&self, tree: &HashSet<Pid>, signal: Signal) {
        // A process that has ended meanwhile is what was wanted.
        let _ = kill_process_group(self.pid(), signal);
        for pid in tree.iter().filter(|pid| **pid != self.pid()) {
            let _ = kill_process(*pid, signal);
        }
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        let tree = self.members();
        self.signal(&tree, Signal::KILL);
        let _ = self.leader.wait();
        // What cannot be told to the janitor any more, it no longer watches either.
        let _ = self.janitor.forget(self.leader.id());
    }
}

/// The last line of an output that names an error, or else the last one.
fn last_words(output: &str) -> Option<&str> {
    // What a runtime shows of an object's fields ends with a comma.
    let names_error = |line: &&str| {
        let first = line.split_whitespace().next().unwrap_or_default();
        first.to_lowercase().ends_with("error:") && !line.ends_with(',')
    };
    let lines = output.lines().map(str::trim);
    let mut lines = lines.rev().filter(|line| !line.is_empty());
    lines.clone().find(names_error).or_else(|| lines.next())
}

fn append(log: &tempfile::NamedTempFile) -> io::Result<File> {
    File::options().append(true).open(log.path())
}

/// Whether any thread of `leader`, or of a process that descends from it, has something to do: it
/// runs, could run, or waits for the disk. Where there is no `/proc`, none is known to.
pub(super) fn is_busy(leader: Pid) -> bool {
    let is_at_work = |pid: Pid| {
        let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
        let mut threads = threads.into_iter().flatten().flatten();
        threads.any(|thread| {
            let fields = stat_fields(&thread.path().join("stat"));
            fields.is_some_and(|fields| ["R", "D"].contains(&fields[0].as_str()))
        })
    };
    members_of(leader).into_iter().any(is_at_work)
}

/// Everything that descends from `leader`, itself included.
fn members_of(leader: Pid) -> HashSet<Pid> {
    let parents = parents_by_pid();
    let mut members = HashSet::from([leader]);
    loop {
        let before = members.len();
        let children = parents
            .iter()
            .filter(|(_, parent)| members.contains(parent));
        let children: Vec<_> = children.map(|(pid, _)| *pid).collect();
        members.extend(children);
        if members.len() == before {
            return members;
        }
    }
}

/// Every process and its parent; empty where there is no `/proc`.
fn parents_by_pid() -> Vec<(Pid, Pid)> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let parent_of = |entry: fs::DirEntry| {
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        let [_, parent] = stat_fields(&entry.path().join("stat"))?;
        Some((pid, Pid::from_raw(parent.parse().ok()?)?))
    };
    processes.flatten().filter_map(parent_of).collect()
}

/// The state and the parent in a process's or a thread's `stat`, which follow its name; that is in
/// parentheses and may hold anything (proc_pid_stat(5)).
fn stat_fields(stat: &Path) -> Option<[String; 2]> {
    let stat = fs::read_to_string(stat).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some([fields.next()?.to_owned(), fields.next()?.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    async fn wait_for_output(tree: &ProcessTree) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        while tree.output_tail().is_empty() && Instant::now() < deadline {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        tree.output_tail()
    }

    #[tokio::test]
    async fn a_program_that_has_ended_keeps_its_number_from_others_until_it_is_dropped() {
        let tree = ProcessTree::spawn(&shell("exit 3")).unwrap();
        let pid = tree.pid();
        let deadline = Instant::now() + Duration::from_secs(10);
        while tree.exit_status().is_none() && Instant::now() < deadline {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        assert_eq!(tree.exit_status().and_then(|status| status.code()), Some(3));
        assert!(test_kill_process(pid).is_ok());
        drop(tree);
        assert!(test_kill_process(pid).is_err());
    }

    #[tokio::test]
    async fn a_grandchild_that_ignores_the_polite_signal_ends_too() {
        let script = "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 0.05; done' & wait";
        let tree = ProcessTree::spawn(&shell(script)).unwrap();
        let grandchild: i32 = wait_for_output(&tree).await.parse().unwrap();
        let grandchild = Pid::from_raw(grandchild).unwrap();
        assert!(test_kill_process(grandchild).is_ok());
        drop(tree);
        let deadline = Instant::now() + Duration::from_secs(10);
        while test_kill_process(grandchild).is_ok() && Instant::now() < deadline {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        assert!(
            test_kill_process(grandchild).is_err(),
            "{grandchild:?} still runs"
        );
    }

    #[tokio::test]
    async fn a_tree_is_busy_while_a_grandchild_computes_and_not_while_all_sleep() {
        let asleep = ProcessTree::spawn(&shell("echo ready; sleep 60 & wait")).unwrap();
        let at_work = ProcessTree::spawn(&shell("sh -c 'while :; do :; done' & echo ready; wait"));
        let at_work = at_work.unwrap();
        for (tree, wanted) in [(asleep, false), (at_work, true)] {
            assert_eq!(wait_for_output(&tree).await, "ready");
            let deadline = Instant::now() + Duration::from_secs(10);
            while is_busy(tree.pid()) != wanted && Instant::now() < deadline {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            assert_eq!(is_busy(tree.pid()), wanted);
        }
    }

    #[test]
    fn the_last_words_are_those_of_the_error() {
        let output = "ready\nerror: terminating connection\n  at Client\n  error: [Function],\n}\n";
        assert_eq!(last_words(output), Some("error: terminating connection"));
        assert_eq!(last_words("ready\nbye\n\n"), Some("bye"));
        assert_eq!(last_words(""), None);
    }

    #[tokio::test]
    async fn an_early_end_shows_its_status_and_its_last_words() {
        let tree = ProcessTree::spawn(&shell("echo no such database >&2; exit 7")).unwrap();
        assert_eq!(wait_for_output(&tree).await, "no such database");
        let deadline = Instant::now() + Duration::from_secs(10);
        while tree.exit_status().is_none() && Instant::now() < deadline {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        let ended = tree.ended();
        assert_eq!(tree.exit_status().and_then(|status| status.code()), Some(7));
        // Whoever has waited for it knows.
        let words = "exit status 7; it said: no such database";
        assert!(ended.is_none_or(|ended| ended == words));
    }
}
