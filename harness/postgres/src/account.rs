//! Whom the server runs as, and where.
//!
//! PostgreSQL refuses to run as root. A harness that is root runs it as an unprivileged user,
//! in a directory of that user's which that user can also reach.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::StartError;

/// A Unix socket's path has room for 103 bytes (macOS; Linux has 107), and the directory's own
/// name and the socket's take up 40 of them.
const LONGEST_PARENT: usize = 60;

/// An unprivileged user of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// The user to run as, `None` when the harness's own will do.
    pub(super) fn unprivileged() -> Result<Option<Account>, StartError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let account = ["postgres", "nobody"].into_iter().find_map(Account::named);
        account.map(Some).ok_or(StartError::NoAccount)
    }

    pub(super) fn apply(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    fn named(name: &str) -> Option<Account> {
        let number = |flag| {
            let answer = Command::new("id").args([flag, name]).output().ok()?;
            String::from_utf8_lossy(&answer.stdout).trim().parse().ok()
        };
        let account = Account {
            uid: number("-u")?,
            gid: number("-g")?,
        };
        (account.uid != 0).then_some(account)
    }

    fn can_enter(self, directory: &Path) -> bool {
        directory.ancestors().all(|ancestor| {
            let Ok(metadata) = fs::metadata(ancestor) else {
                return false;
            };
            let execute = match () {
                () if metadata.uid() == self.uid => 0o100,
                () if metadata.gid() == self.gid => 0o010,
                () => 0o001,
            };
            metadata.mode() & execute != 0
        })
    }
}

/// Makes an empty directory that only `account` can read.
pub(super) fn make_directory(account: Option<Account>) -> Result<PathBuf, StartError> {
    let parents = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
    let parent = parents
        .iter()
        .filter_map(|parent| fs::canonicalize(parent).ok())
        .filter(|parent| parent.as_os_str().len() <= LONGEST_PARENT)
        .find(|parent| account.is_none_or(|account| account.can_enter(parent)))
        .ok_or_else(|| {
            let why = "no temporary directory is short enough and open to the server's user";
            let parents = parents
                .each_ref()
                .map(|parent| parent.display().to_string());
            let parents = parents.join(", ");
            StartError::Directory(io::Error::other(format!("{why}; tried {parents}")))
        })?;
    let directory = tempfile::Builder::new()
        .prefix("rowlock-pg-")
        .tempdir_in(parent)
        .map_err(StartError::Directory)?;
    if let Some(account) = account {
        chown(directory.path(), Some(account.uid), Some(account.gid))
            .map_err(StartError::Directory)?;
    }
    Ok(directory.keep())
}
