//! What `initdb` made, kept and copied: a new cluster in a tenth of the time.
//!
//! A cluster is kept under the place and the age of the programs that made it, so that another PostgreSQL, or the same
//! one after an upgrade, finds none and makes its own. Nothing is kept unless a directory for it is named.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};

use super::account::Account;
use super::binaries::Binaries;

/// The place of one PostgreSQL's cluster among the templates in `directory`.
pub(super) fn place(directory: &Path, binaries: &Binaries) -> io::Result<PathBuf> {
    let initdb = binaries.program("initdb");
    let age = fs::metadata(&initdb)?.mtime();
    let name = initdb.to_string_lossy().replace('/', "+");
    Ok(directory.join(format!("{name}+{age}")))
}

/// Keeps the cluster at `data` as `template`, whole or not at all. Does nothing where another was first.
pub(super) fn keep(data: &Path, template: &Path) -> io::Result<()> {
    let parent = template.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let unfinished = tempfile::Builder::new()
        .prefix("unfinished-")
        .tempdir_in(parent)?;
    let copy = unfinished.path().join("data");
    copy_tree(data, &copy, None)?;
    match fs::rename(&copy, template) {
        Err(_) if template.is_dir() => Ok(()),
        renamed => renamed,
    }
}

/// Copies the directory `from` with all that is in it to `to`, which does not exist yet, as `owner`'s alone.
pub(super) fn copy_tree(from: &Path, to: &Path, owner: Option<Account>) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(to)?;
    give(to, owner)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target, owner)?;
        } else {
            fs::copy(entry.path(), &target)?;
            give(&target, owner)?;
        }
    }
    Ok(())
}

fn give(path: &Path, owner: Option<Account>) -> io::Result<()> {
    match owner {
        Some(account) => chown(path, Some(account.uid), Some(account.gid)),
        None => Ok(()),
    }
}
