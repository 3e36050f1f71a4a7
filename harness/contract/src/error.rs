//! What is wrong with a contract.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why there is no contract.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// The file cannot be read.
    #[error("the contract {} cannot be read", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is none where it was looked for.
    #[error("no rowlock.toml in {} or above it", start.display())]
    NotFound {
        /// Where the search began.
        start: PathBuf,
    },
    /// It says what it cannot mean.
    #[error("{}", lines(file, problems))]
    Invalid {
        /// The file.
        file: PathBuf,
        /// All that was found, in the order of the file; at least one.
        problems: Vec<Problem>,
    },
}

/// One mistake of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The key, as `calls.buy.path`; empty where the file is no TOML.
    pub key: String,
    /// What is wrong, and what would be allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => f.write_str(&self.message),
            key => write!(f, "{key}: {}", self.message),
        }
    }
}

/// A line for each problem: `rowlock.toml:12: calls.buy.path: ...`.
fn lines(file: &std::path::Path, problems: &[Problem]) -> String {
    let line = |problem: &Problem| format!("{}:{}: {problem}", file.display(), problem.line);
    let lines: Vec<_> = problems.iter().map(line).collect();
    lines.join("\n")
}
