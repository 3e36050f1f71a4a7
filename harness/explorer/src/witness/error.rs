//! Why a witness could not be read or written.

use std::path::PathBuf;

use super::FORMAT;

/// Why a witness could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The file or directory could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file is no JSON, or not of the form that its version has.
    #[error("{} is no witness", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// The file is of a version that this program does not know.
    #[error(
        "{} has format {found}, and this program reads format {FORMAT} only; explore again, or \
         replay it with the version that wrote it", path.display()
    )]
    UnknownFormat {
        /// Which.
        path: PathBuf,
        /// Its format.
        found: u64,
    },
    /// The file contradicts itself.
    #[error("{} is no witness: {what}", path.display())]
    Contradiction {
        /// Which.
        path: PathBuf,
        /// How.
        what: String,
    },
    /// A directory without a witness.
    #[error("no witness (*.json) is in {}", path.display())]
    Nothing {
        /// Which.
        path: PathBuf,
    },
    /// The file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}
