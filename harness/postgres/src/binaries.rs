//! Finds an installed PostgreSQL: a directory that holds both `initdb` and `postgres`.
//!
//! `PG_BIN` is taken at its word; otherwise PATH, `pg_config` and the usual directories are
//! looked through, in that order, and the newest version of the latter wins.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::StartError;

/// Where packages put their programs; `*` stands for the version.
const USUAL: [&str; 7] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/local/pgsql/bin",
];

#[derive(Clone, Debug)]
pub(super) struct Binaries {
    pub(super) directory: PathBuf,
    /// As in `15.18`.
    pub(super) version: String,
}

impl Binaries {
    pub(super) fn find(pg_bin: Option<&Path>) -> Result<Binaries, StartError> {
        if let Some(pg_bin) = pg_bin {
            return Binaries::in_directory(pg_bin).map_err(|why| StartError::PgBin {
                path: pg_bin.to_owned(),
                why,
            });
        }
        let places = [
            ("PATH", path_directories()),
            ("pg_config --bindir", pg_config_directory()),
            ("the usual directories", usual_directories()),
        ];
        let found = places.iter().flat_map(|(_, directories)| directories);
        match found
            .filter_map(|directory| Binaries::in_directory(directory).ok())
            .next()
        {
            Some(binaries) => Ok(binaries),
            None => Err(StartError::NotInstalled {
                tried: format!(
                    "{} ({})",
                    places.map(|(place, _)| place).join(", "),
                    USUAL.join(" ")
                ),
            }),
        }
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn in_directory(directory: &Path) -> Result<Binaries, String> {
        // A lone link such as /usr/local/bin/initdb leads to where its companions are.
        let initdb = fs::canonicalize(directory.join("initdb"))
            .map_err(|error| format!("it holds no initdb: {error}"))?;
        let directory = initdb.parent().unwrap_or(directory).to_owned();
        for name in ["initdb", "postgres"] {
            let executable = fs::metadata(directory.join(name)).is_ok_and(|program| {
                program.is_file() && program.permissions().mode() & 0o111 != 0
            });
            if !executable {
                return Err(format!("{} holds no program {name}", directory.display()));
            }
        }
        let postgres = directory.join("postgres");
        let answer = Command::new(&postgres)
            .arg("--version")
            .output()
            .map_err(|error| format!("{} does not run: {error}", postgres.display()))?;
        let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
        // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
        match answer.split_whitespace().nth(2) {
            Some(version) => Ok(Binaries {
                directory,
                version: version.to_owned(),
            }),
            None => Err(format!(
                "{} --version answers {answer:?}",
                postgres.display()
            )),
        }
    }
}

fn path_directories() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect()
}

fn pg_config_directory() -> Vec<PathBuf> {
    let answer = Command::new("pg_config").arg("--bindir").output();
    answer
        .ok()
        .filter(|answer| answer.status.success())
        .map(|answer| PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim()))
        .into_iter()
        .collect()
}

fn usual_directories() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> =
        USUAL.iter().flat_map(|pattern| matches(pattern)).collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, directory)| directory).collect()
}

/// The directories that `pattern` names, each with its major version.
fn matches(pattern: &str) -> Vec<(u32, PathBuf)> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![(0, PathBuf::from(pattern))];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?;
            let major = version
                .split('.')
                .next()
                .and_then(|major| major.parse().ok())
                .unwrap_or(0);
            Some((major, PathBuf::from(format!("{before}{version}{after}"))))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_of_the_usual_directories_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9.6", "15", "13"] {
            fs::create_dir_all(root.path().join(version).join("bin")).unwrap();
        }
        let mut found = matches(&format!("{}/*/bin", root.path().display()));
        found.sort();
        let majors: Vec<u32> = found.iter().map(|(major, _)| *major).collect();
        assert_eq!(majors, [9, 13, 15]);
        assert!(found[2].1.ends_with("15/bin"));
    }

    #[test]
    fn lone_link_to_initdb_leads_to_its_companions() {
        let root = tempfile::tempdir().unwrap();
        let installed = Binaries::find(None).unwrap();
        std::os::unix::fs::symlink(installed.program("initdb"), root.path().join("initdb"))
            .unwrap();
        let found = Binaries::find(Some(root.path())).unwrap();
        assert!(found.program("postgres").exists());
        assert_eq!(found.version, installed.version);
    }

    #[test]
    fn unusable_pg_bin_is_named_with_the_reason() {
        let root = tempfile::tempdir().unwrap();
        let error = Binaries::find(Some(root.path())).unwrap_err().to_string();
        assert!(
            error.contains(&root.path().display().to_string()),
            "{error}"
        );
        assert!(error.contains("holds no initdb"), "{error}");
    }
}
