//! Who made a container, written so that anybody can tell whether its maker still lives.
//!
//! A process id alone will not do: it may belong to somebody else by now, or to another machine
//! or container that shares the engine. So its start time and its world go with it.

use std::fs;
use std::process::Command;

/// A process, past or present: `world pid start`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// The machine's boot and its process id namespace.
    world: String,
    pid: u32,
    /// When it started, in the system's own words.
    start: String,
}

impl Owner {
    /// This process; `None` where the system does not tell when it started.
    pub(super) fn this_process() -> Option<Owner> {
        let pid = std::process::id();
        Some(Owner {
            world: world(),
            pid,
            start: start_of(pid)?,
        })
    }

    pub(super) fn parse(label: &str) -> Option<Owner> {
        let mut words = label.split(' ');
        let owner = Owner {
            world: words.next()?.to_owned(),
            pid: words.next()?.parse().ok()?,
            start: words.next()?.to_owned(),
        };
        Some(owner)
    }

    /// Whether it certainly has ended; another world's processes cannot be judged.
    pub(super) fn is_dead(&self) -> bool {
        self.world == world() && start_of(self.pid).as_ref() != Some(&self.start)
    }

    pub(super) fn label(&self) -> String {
        format!("{} {} {}", self.world, self.pid, self.start)
    }
}

fn world() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{}/{}", boot.trim(), namespace.display())
}

/// Field 22 of `/proc/PID/stat` where there is one (proc(5)), else what `ps` says.
fn start_of(pid: u32) -> Option<String> {
    if fs::exists("/proc/self/stat").unwrap_or(false) {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, after_name) = stat.rsplit_once(") ")?;
        return after_name.split(' ').nth(19).map(str::to_owned);
    }
    let answer = Command::new("ps")
        .args(["-o", "lstart=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let start = String::from_utf8_lossy(&answer.stdout)
        .trim()
        .replace(' ', "_");
    (!start.is_empty()).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn living_owner_survives_its_label_and_is_not_dead() {
        let owner = Owner::this_process().unwrap();
        assert_eq!(Owner::parse(&owner.label()), Some(owner.clone()));
        assert!(!owner.is_dead());
    }

    #[test]
    fn owner_whose_process_id_another_process_has_is_dead() {
        let owner = Owner {
            start: "1".into(),
            ..Owner::this_process().unwrap()
        };
        assert!(owner.is_dead());
    }

    #[test]
    fn owner_on_another_machine_is_not_judged() {
        let owner = Owner {
            world: "elsewhere".into(),
            start: "1".into(),
            pid: 1,
        };
        assert!(!owner.is_dead());
    }
}
