//! Witnesses: the smallest evidence of a violation, in a file that fails again on every machine.
//!
//! Nothing of the machine is in it, no time, no process id, no connection, so the
//! same violation found twice is the same file. The schedule is what replays; all the rest says
//! what is to be expected, and is for people. It neither runs nor judges anything.

mod contradiction;
mod error;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use error::WitnessError;
use rowlock_core::finding::{Finding, Outcome};
use rowlock_core::program::Program;
use rowlock_core::seed::fnv1a;
use serde::{Deserialize, Serialize};

use super::run::Run;
use super::schedule::{RequestIndex, Schedule};
use super::sql;
use super::transcript::{Event, Transcript};

/// The version of the files that are written, and the only one that is read.
pub const FORMAT: u32 = 1;

/// The evidence of one violation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
pub struct Witness<P: Program> {
    /// [`FORMAT`].
    pub format: u32,
    /// The service that was caught, in words.
    pub target: String,
    /// What was violated, in the order of the reports; at least one.
    pub violated: Vec<Violated>,
    /// Initial rows and requests.
    pub program: P,
    /// The choices that lead there.
    pub schedule: Schedule,
    /// Every step with its result, as it ran.
    pub transcript: Transcript,
    /// What each request was answered. Times are places in the transcript.
    pub answers: Vec<P::Operation>,
    /// The rows that were left.
    pub rows: P::Rows,
}

/// One violated invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Violated {
    /// The invariant's name.
    pub name: String,
    /// What should hold.
    pub statement: String,
    /// Where it does not, a sentence each.
    pub places: Vec<String>,
}

impl<P: Program> Witness<P> {
    /// The evidence in `run`; nothing where no invariant is violated.
    pub fn new(target: &str, program: &P, run: &Run<P>) -> Option<Witness<P>> {
        let witness = Witness::of(target, program, run);
        (!witness.violated.is_empty()).then_some(witness)
    }

    /// What ran, whether or not anything was violated: to be shown, where it may be no evidence.
    pub fn of(target: &str, program: &P, run: &Run<P>) -> Witness<P> {
        Witness {
            format: FORMAT,
            target: target.to_owned(),
            violated: run.violated().filter_map(Violated::of).collect(),
            program: program.clone(),
            schedule: run.execution.schedule.clone(),
            transcript: run.execution.transcript.clone(),
            answers: run.assessment.history.clone(),
            rows: run.assessment.rows.clone(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`WitnessError`], with the file and the place in it.
    pub fn read(path: &Path) -> Result<Witness<P>, WitnessError> {
        let text = std::fs::read_to_string(path).map_err(|source| WitnessError::Read {
            path: path.to_owned(),
            source,
        })?;
        Witness::parse(&text, path)
    }

    /// Reads the text of the file `path`.
    ///
    /// # Errors
    /// [`WitnessError`], with the file and the place in it.
    pub fn parse(text: &str, path: &Path) -> Result<Witness<P>, WitnessError> {
        /// What every version has.
        #[derive(Deserialize)]
        struct Versioned {
            format: u64,
        }
        let path = path.to_owned();
        let versioned: Result<Versioned, _> = serde_json::from_str(text);
        match versioned {
            Err(source) => return Err(WitnessError::Malformed { path, source }),
            Ok(Versioned { format: found }) if found != u64::from(FORMAT) => {
                return Err(WitnessError::UnknownFormat { path, found });
            }
            Ok(_) => {}
        }
        let witness: Witness<P> = match serde_json::from_str(text) {
            Ok(witness) => witness,
            Err(source) => return Err(WitnessError::Malformed { path, source }),
        };
        match contradiction::of(&witness) {
            Some(what) => Err(WitnessError::Contradiction { path, what }),
            None => Ok(witness),
        }
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("a witness has string keys only");
        json.push('\n');
        json
    }

    /// Writes the file into `directory`, which is made where it is missing, and says its path.
    ///
    /// The same violation by the same statements in the same order has the same name, and
    /// replaces the file that is there.
    ///
    /// # Errors
    /// [`WitnessError::Write`].
    pub fn write(&self, directory: &Path) -> Result<PathBuf, WitnessError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| WitnessError::Write { path, source }
        };
        std::fs::create_dir_all(directory).map_err(failed(directory))?;
        let path = self.path_in(directory);
        std::fs::write(&path, self.to_json()).map_err(failed(&path))?;
        Ok(path)
    }

    /// The shortest name that no other witness in `directory` has.
    fn path_in(&self, directory: &Path) -> PathBuf {
        let hash = format!("{:016x}", self.identity());
        let stem = file_stem(self.program.name());
        let path = |digits: usize| {
            let name = format!("{stem}-{}.json", &hash[..digits]);
            directory.join(name)
        };
        let is_free = |path: &PathBuf| match Witness::<P>::read(path) {
            Ok(other) => other.identity() == self.identity(),
            Err(_) => !path.exists(),
        };
        let free = [4, 6, 8, 12].map(path).into_iter().find(is_free);
        free.unwrap_or_else(|| path(hash.len()))
    }

    /// The shapes of the steps that ran, each once: what two witnesses of one race have in common.
    pub fn shapes(&self) -> BTreeSet<String> {
        Witness::<P>::shapes_of(&self.transcript)
    }

    /// The same of what is not shrunk yet.
    pub fn shapes_of(transcript: &Transcript) -> BTreeSet<String> {
        steps(transcript).map(|step| step.shape()).collect()
    }

    /// What makes it this witness: program, schedule, statements and what they violate; not the
    /// values that the statements brought.
    fn identity(&self) -> u64 {
        let names: Vec<_> = self
            .violated
            .iter()
            .map(|violated| &violated.name)
            .collect();
        let steps: Vec<_> = steps(&self.transcript).collect();
        let steps: Vec<_> = steps
            .iter()
            .map(|step| (step.request, step.shape()))
            .collect();
        let identity = (&self.program, &self.schedule, names, steps);
        let json = serde_json::to_vec(&identity).expect("a witness has string keys only");
        fnv1a(&json)
    }
}

/// A program's name without anything that a file's name, or a shell, would take amiss.
fn file_stem(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    match words.is_empty() {
        true => "program".into(),
        false => words.join("-"),
    }
}

impl Violated {
    /// Its first place, how many more there are, and its name.
    pub fn sentence(&self) -> String {
        format!("{} ({})", self.place(), self.name)
    }

    /// Its first place, and how many more there are.
    pub fn place(&self) -> String {
        let more = match self.places.len() {
            0 | 1 => String::new(),
            many => format!(", and {} more", many - 1),
        };
        let place = self.places.first().unwrap_or(&self.statement);
        format!("{place}{more}")
    }

    /// What `finding` found, if it is a violation.
    pub fn of(finding: &Finding) -> Option<Violated> {
        match &finding.outcome {
            Outcome::Violated(places) => Some(Violated {
                name: finding.name.clone(),
                statement: finding.statement.clone(),
                places: places.clone(),
            }),
            _ => None,
        }
    }
}

/// The files that `paths` name: a file itself, and of a directory every `*.json`, by name.
///
/// # Errors
/// A directory that cannot be read, or that has no such file; a path where nothing is.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, WitnessError> {
    let mut files = Vec::new();
    for path in paths {
        let failed = |source| WitnessError::Read {
            path: path.clone(),
            source,
        };
        if !path.metadata().map_err(failed)?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        for entry in path.read_dir().map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if file
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                found.push(file);
            }
        }
        if found.is_empty() {
            return Err(WitnessError::Nothing { path: path.clone() });
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

/// A delivered step of a transcript.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeliveredStep<'a> {
    pub(super) request: RequestIndex,
    pub(super) statements: &'a [rowlock_proxy::Statement],
}

impl DeliveredStep<'_> {
    /// What two runs of the same code share of it.
    pub(super) fn shape(&self) -> String {
        let shapes: Vec<_> = self
            .statements
            .iter()
            .map(|one| sql::shape(&one.sql))
            .collect();
        shapes.join("; ")
    }

    /// The step for people.
    pub(super) fn text(&self) -> String {
        let texts: Vec<_> = self.statements.iter().map(sql::filled).collect();
        texts.join("; ")
    }
}

/// The delivered steps, in order.
pub(super) fn steps(transcript: &Transcript) -> impl Iterator<Item = DeliveredStep<'_>> {
    transcript.events.iter().filter_map(|event| match event {
        Event::Delivered {
            request,
            statements,
        } => Some(DeliveredStep {
            request: *request,
            statements,
        }),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
