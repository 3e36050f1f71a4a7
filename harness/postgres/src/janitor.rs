//! A janitor takes away what the harness leaves behind, however it ended.
//!
//! It is a small shell script that reads from a pipe which only the harness holds open. The
//! kernel closes that pipe when the harness ends, be it by return, panic, `process::exit` or
//! SIGKILL; the script then stops the process groups it was told to watch and removes its paths.
//! It sits in a process group of its own, so that a terminal's Ctrl-C does not reach it.
//!
//! It does not outlive the machine, and it knows no containers.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::Signal;

use crate::gate;

// `kill -SIG -GROUP` without `--`: the one form that dash, bash and BusyBox all understand.
// Zombies do not count as alive, for where process 1 waits for nobody, they stay; the fields of
// /proc/PID/stat after the name are state, parent and group (proc(5)).
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
watched=
while read -r verb group signal; do
    kept=
    for entry in $watched; do
        [ "${entry%%:*}" = "$group" ] || kept="$kept $entry"
    done
    watched=$kept
    [ "$verb" = forget ] || watched="$watched $group:$signal"
done

pause() { sleep 0.02 || sleep 1; }
lives() {
    kill -0 "-$1" || return 1
    [ -r /proc/self/stat ] || return 0
    for file in /proc/[0-9]*/stat; do
        read -r stat <"$file" || continue
        set -- "$1" ${stat##*) }
        [ "$4" = "$1" ] && [ "$2" != Z ] && return 0
    done
    return 1
}
some_live() {
    for entry in $watched; do
        lives "${entry%%:*}" && return 0
    done
    return 1
}

for entry in $watched; do kill "-${entry#*:}" "-${entry%%:*}"; done
looks=0
while some_live && [ $looks -lt 100 ]; do looks=$((looks + 1)); pause; done
for entry in $watched; do kill -KILL "-${entry%%:*}"; done

looks=0
while [ $# -gt 0 ] && ! rm -rf -- "$@" && [ $looks -lt 100 ]; do looks=$((looks + 1)); pause; done
"#;

/// The child process that cleans up; dropping this starts the clean-up and waits for its end.
///
/// The end is bounded: some seconds for the groups to obey their signal before they are
/// killed, two for the paths to go.
#[derive(Debug)]
pub struct Janitor {
    script: Child,
    /// `None` once the clean-up has been asked for.
    orders: Option<ChildStdin>,
}

impl Janitor {
    /// Starts a janitor that will remove `paths`, files or whole directories.
    ///
    /// # Errors
    /// When `sh` cannot be started.
    pub fn start(paths: &[&Path]) -> io::Result<Janitor> {
        let mut script = Command::new("sh")
            .args(["-c", SCRIPT, "rowlock-janitor"])
            .args(paths)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            // An inherited output would keep whoever reads the harness's output waiting.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let orders = script.stdin.take();
        Ok(Janitor { script, orders })
    }

    /// Starts `command` as the leader of a process group that is stopped at the end, first by
    /// `signal`, then by SIGKILL: it runs only once it is watched. `prepare` says where its output
    /// goes, and as whom it runs; its input is empty.
    ///
    /// # Errors
    /// A program that cannot be started. When the janitor is gone, and nothing would be cleaned up,
    /// nothing runs.
    pub fn spawn(
        &self,
        command: &Command,
        signal: Signal,
        prepare: impl FnOnce(&mut Command) -> io::Result<()>,
    ) -> io::Result<Child> {
        let mut gate = gate::before(command)?;
        prepare(&mut gate)?;
        let mut child = gate.stdin(Stdio::piped()).process_group(0).spawn()?;
        let opened = self.watch(child.id(), signal).and_then(|()| {
            let mut entrance = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
            entrance.write_all(gate::GO)
        });
        if let Err(error) = opened {
            drop(child.stdin.take());
            // It reads the end of its input, and ends.
            child.wait()?;
            self.forget(child.id()).ok();
            return Err(error);
        }
        Ok(child)
    }

    /// Stops the process group `group` at the end, first by `signal`, then by SIGKILL.
    ///
    /// # Errors
    /// When the janitor is gone, and nothing would be cleaned up.
    fn watch(&self, group: u32, signal: Signal) -> io::Result<()> {
        self.order(&format!("watch {group} {}\n", signal.as_raw()))
    }

    /// Leaves the process group `group` alone; to be called once its leader has been waited for,
    /// because its number may then come to belong to a stranger.
    ///
    /// # Errors
    /// When the janitor is gone.
    pub fn forget(&self, group: u32) -> io::Result<()> {
        self.order(&format!("forget {group}\n"))
    }

    fn order(&self, line: &str) -> io::Result<()> {
        match &self.orders {
            Some(orders) => {
                let mut orders = orders;
                orders.write_all(line.as_bytes())
            }
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        self.orders.take();
        // Nothing can be done here if it fails; the script bounds its own time.
        let _ = self.script.wait();
    }
}
