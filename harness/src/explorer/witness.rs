//! Witnesses: the smallest evidence of a violation, in a file that fails again on every machine.
//!
//! The one idea: nothing of the machine is in it, no time, no process id, no connection, so the
//! same violation found twice is the same file. The schedule is what replays; all the rest says
//! what is to be expected, and is for people. It neither runs nor judges anything.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::outcome::Outcome;
use super::program::Program;
use super::schedule::{RequestIndex, Schedule};
use super::sql;
use super::transcript::{Event, Transcript};
use crate::history::Operation;
use crate::invariant;
use crate::seed::fnv1a;
use crate::shop::FinalRows;

/// The version of the files that are written, and the only one that is read.
pub const FORMAT: u32 = 1;

/// The evidence of one violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// [`FORMAT`].
    pub format: u32,
    /// The service that was caught, in words.
    pub target: String,
    /// What was violated, in the order of the reports; at least one.
    pub violated: Vec<Violated>,
    /// Initial rows and requests.
    pub program: Program,
    /// The choices that lead there.
    pub schedule: Schedule,
    /// Every step with its result, as it ran.
    pub transcript: Transcript,
    /// What each request was answered. Times are places in the transcript.
    pub answers: Vec<Operation>,
    /// The rows that were left.
    pub rows: FinalRows,
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

impl Witness {
    /// The evidence in `outcome`; nothing where no invariant is violated.
    pub fn new(target: &str, program: &Program, outcome: &Outcome) -> Option<Witness> {
        let violated: Vec<_> = outcome.violated().filter_map(Violated::of).collect();
        (!violated.is_empty()).then(|| Witness {
            format: FORMAT,
            target: target.to_owned(),
            violated,
            program: program.clone(),
            schedule: outcome.schedule.clone(),
            transcript: outcome.transcript.clone(),
            answers: outcome.history.clone(),
            rows: outcome.rows.clone(),
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`WitnessError`], with the file and the place in it.
    pub fn read(path: &Path) -> Result<Witness, WitnessError> {
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
    pub fn parse(text: &str, path: &Path) -> Result<Witness, WitnessError> {
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
        let witness: Witness = match serde_json::from_str(text) {
            Ok(witness) => witness,
            Err(source) => return Err(WitnessError::Malformed { path, source }),
        };
        match witness.contradiction() {
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
        let path = |digits: usize| {
            let name = format!("{}-{}.json", self.program.name, &hash[..digits]);
            directory.join(name)
        };
        let is_free = |path: &PathBuf| match Witness::read(path) {
            Ok(other) => other.identity() == self.identity(),
            Err(_) => !path.exists(),
        };
        let free = [4, 6, 8, 12].map(path).into_iter().find(is_free);
        free.unwrap_or_else(|| path(hash.len()))
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

    /// What cannot be in a witness that was written by this program.
    fn contradiction(&self) -> Option<String> {
        let requests = self.program.requests.len();
        if requests == 0 {
            return Some("it has no requests".into());
        }
        if self.answers.len() != requests {
            let answers = self.answers.len();
            return Some(format!("it has {requests} requests and {answers} answers"));
        }
        let chosen = self.schedule.0.iter().flat_map(|choice| choice.requests());
        let ran = self.transcript.events.iter().flat_map(requests_of);
        if let Some(request) = chosen.chain(ran).find(|request| request.0 >= requests) {
            let number = request.0;
            return Some(format!(
                "it names request {number} from 0, and has {requests} requests"
            ));
        }
        self.misnamed()
    }

    fn misnamed(&self) -> Option<String> {
        if self.violated.is_empty() {
            return Some("it names no violated invariant".into());
        }
        let names: BTreeSet<_> = self
            .violated
            .iter()
            .map(|violated| &violated.name)
            .collect();
        (names.len() < self.violated.len()).then(|| "it names an invariant twice".into())
    }
}

impl Violated {
    /// What `finding` found, if it is a violation.
    pub fn of(finding: &invariant::Finding) -> Option<Violated> {
        match &finding.outcome {
            invariant::Outcome::Violated(places) => Some(Violated {
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
    pub(super) statements: &'a [crate::proxy::Statement],
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

fn requests_of(event: &Event) -> Vec<RequestIndex> {
    match event {
        Event::Deadlocked { cycle } => cycle.clone(),
        Event::Waits { request, by } => by.iter().copied().chain([*request]).collect(),
        other => other.request().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::program;
    use super::super::toy::{Toy, ToyRunner};
    use super::*;

    async fn witness(letters: &str) -> Witness {
        let program = program::find("one-item").unwrap().program(2);
        let outcome = ToyRunner::new(Toy::Unlocked)
            .run_letters(&program, letters)
            .await;
        Witness::new("a toy", &program, &outcome).unwrap()
    }

    fn parse_error(text: &str) -> String {
        let error = Witness::parse(text, Path::new("w/x.json")).unwrap_err();
        let source = std::error::Error::source(&error);
        let source = source.map_or(String::new(), |source| format!(": {source}"));
        format!("{error}{source}")
    }

    #[tokio::test]
    async fn a_witness_reads_back_from_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let witness = witness("ABBBBBAAAA").await;
        let path = witness
            .write(&directory.path().join("deep/witnesses"))
            .unwrap();
        assert_eq!(Witness::read(&path).unwrap(), witness);
    }

    #[tokio::test]
    async fn nothing_is_evidence_of_a_run_in_which_all_holds() {
        let program = program::find("one-item").unwrap().program(2);
        let outcome = ToyRunner::new(Toy::Right)
            .run_letters(&program, "AAAAABB")
            .await;
        assert_eq!(Witness::new("a toy", &program, &outcome), None);
    }

    #[tokio::test]
    async fn the_same_witness_twice_is_the_same_file_and_another_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let [one, same] = [witness("ABBBBBAAAA").await, witness("ABBBBBAAAA").await];
        let first = one.write(directory.path()).unwrap();
        let before = std::fs::read(&first).unwrap();
        assert_eq!(same.write(directory.path()).unwrap(), first);
        assert_eq!(std::fs::read(&first).unwrap(), before);
        let name = first.file_name().unwrap().to_str().unwrap();
        let digits = name
            .strip_prefix("one-item-")
            .unwrap()
            .strip_suffix(".json")
            .unwrap();
        assert!(
            digits.len() == 4 && digits.chars().all(|c| c.is_ascii_hexdigit()),
            "{name}"
        );
        let other = witness("BAAAAABBBB").await.write(directory.path()).unwrap();
        assert_ne!(other, first);
    }

    #[tokio::test]
    async fn a_name_that_another_witness_has_gets_more_digits() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (witness("ABBBBBAAAA").await, witness("BAAAAABBBB").await);
        let taken = one.write(directory.path()).unwrap();
        std::fs::write(&taken, other.to_json()).unwrap();
        let longer = one.write(directory.path()).unwrap();
        assert_ne!(longer, taken);
        assert_eq!(Witness::read(&taken).unwrap(), other);
        assert_eq!(one.write(directory.path()).unwrap(), longer);
    }

    #[tokio::test]
    async fn an_unknown_format_is_refused_by_its_number() {
        let json = witness("ABBBBBAAAA").await.to_json();
        let newer = json.replacen("\"format\": 1", "\"format\": 2", 1);
        assert_eq!(
            parse_error(&newer),
            "w/x.json has format 2, and this program reads format 1 only; explore again, or \
             replay it with the version that wrote it"
        );
        let none = json.replacen("\"format\": 1,", "", 1);
        assert!(parse_error(&none).contains("missing field `format`"));
    }

    #[tokio::test]
    async fn a_bad_file_is_named_with_the_place_in_it() {
        assert_eq!(
            parse_error("{\"format\": 1,\n \"target\": }"),
            "w/x.json is no witness: expected value at line 2 column 12"
        );
        let json = witness("ABBBBBAAAA").await.to_json();
        let wrong = json.replacen("\"deliver\": 0", "\"deliver\": \"A\"", 1);
        let error = parse_error(&wrong);
        assert!(
            error.contains("invalid type: string \"A\"") && error.contains("at line"),
            "{error}"
        );
        let strange = json.replacen("\"deliver\": 0", "\"deliver\": 7", 1);
        assert_eq!(
            parse_error(&strange),
            "w/x.json is no witness: it names request 7 from 0, and has 2 requests"
        );
        let missing = Witness::read(Path::new("/nowhere/w.json")).unwrap_err();
        assert_eq!(missing.to_string(), "cannot read /nowhere/w.json");
    }

    #[test]
    fn a_directory_stands_for_its_json_files_in_the_order_of_their_names() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name| directory.path().join(name);
        let none = files(&[directory.path().to_owned()]).unwrap_err();
        assert!(none.to_string().starts_with("no witness (*.json) is in /"));
        for name in ["b.json", "a.json", "notes.txt"] {
            std::fs::write(path(name), "").unwrap();
        }
        let found = files(&[path("notes.txt"), directory.path().to_owned()]).unwrap();
        assert_eq!(found, [path("notes.txt"), path("a.json"), path("b.json")]);
    }
}
