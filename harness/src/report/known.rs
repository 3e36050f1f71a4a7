//! `--baseline FILE`: the violations that a team knows of, so that only others fail.
//!
//! A violation is known by its [fingerprint](super::Fingerprint). An entry belongs to the command that
//! found it, by its title, and says nothing of others. What is resolved must be taken out, or it would
//! excuse the same race the next time; but only a run that went through everything can tell.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use rowlock_core::verdict::Verdict;
use serde::{Deserialize, Serialize};

use super::html::{Extent, Page};
use super::{Accusation, Fingerprint};

/// The version of the files that are written, and the only one that is read.
const FORMAT: u32 = 1;

/// The violations that are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    format: u32,
    /// In the order of their commands and fingerprints.
    known: Vec<Entry>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The title of the command that found it: `explore one-item`.
    command: String,
    fingerprint: Fingerprint,
    /// The invariant.
    check: String,
    /// What was wrong when it was written down; for people.
    sentence: String,
}

/// A baseline that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KnownError {
    /// It cannot be read or written.
    #[error("cannot use the baseline {}; --update-baseline writes one", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is none.
    #[error("{} is no baseline", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// Another version wrote it.
    #[error("{} has format {found}, and this version reads {FORMAT}", path.display())]
    UnknownFormat {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

/// A run's violations beside those that are known.
#[derive(Debug)]
pub struct Compared<'a> {
    /// Those that are not known.
    pub new: Vec<&'a Accusation>,
    /// Those that are.
    pub known: Vec<&'a Accusation>,
    /// What is known and was not found, though the run went through everything.
    pub resolved: Vec<&'a Entry>,
    /// What the run comes to.
    pub verdict: Verdict,
}

impl Default for Known {
    fn default() -> Known {
        Known {
            format: FORMAT,
            known: Vec::new(),
        }
    }
}

impl Known {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`KnownError`].
    pub fn read(path: &Path) -> Result<Known, KnownError> {
        let path = path.to_owned();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(KnownError::File { path, source }),
        };
        match serde_json::from_str(&text) {
            Ok(Known { format, .. }) if format != FORMAT => Err(KnownError::UnknownFormat {
                path,
                found: format,
            }),
            Ok(known) => Ok(known),
            Err(source) => Err(KnownError::Malformed { path, source }),
        }
    }

    /// Writes the file at `path`.
    ///
    /// # Errors
    /// [`KnownError::File`].
    pub fn write(&self, path: &Path) -> Result<(), KnownError> {
        let text = serde_json::to_string_pretty(self).expect("a baseline is plain data") + "\n";
        std::fs::write(path, text).map_err(|source| KnownError::File {
            path: path.to_owned(),
            source,
        })
    }

    /// The violations of `page` beside those that are known.
    pub fn compare<'a>(&'a self, page: &'a Page) -> Compared<'a> {
        let (known, new): (Vec<_>, Vec<_>) = violations(page).partition(|it| self.knows(page, it));
        let is_found = |entry: &&Entry| violations(page).any(|it| entry.is(it));
        let of_page = self
            .known
            .iter()
            .filter(|entry| entry.command == page.title);
        let resolved: Vec<_> = match page.extent {
            Extent::Whole => of_page.filter(|entry| !is_found(entry)).collect(),
            Extent::Sample | Extent::CutShort => Vec::new(),
        };
        let is_open = page
            .accusations
            .iter()
            .any(|it| it.verdict == Verdict::Inconclusive);
        let is_cut = page.extent == Extent::CutShort;
        let is_inconclusive = page.verdict == Verdict::Inconclusive || is_open || is_cut;
        let verdict = match is_inconclusive {
            _ if !new.is_empty() || !resolved.is_empty() => Verdict::Violation,
            true => Verdict::Inconclusive,
            false => Verdict::Valid,
        };
        Compared {
            new,
            known,
            resolved,
            verdict,
        }
    }

    /// Knows exactly the violations of `page` from here on, beside those of other commands; where the run
    /// did not go through everything, also what was known of it.
    pub fn update(&mut self, page: &Page) {
        if page.extent == Extent::Whole {
            self.known.retain(|entry| entry.command != page.title);
        }
        for accusation in violations(page) {
            if !self.knows(page, accusation) {
                self.known.push(Entry {
                    command: page.title.clone(),
                    fingerprint: accusation.fingerprint.clone(),
                    check: accusation.check.clone(),
                    sentence: accusation.sentence.clone(),
                });
            }
        }
        self.known.sort();
    }

    fn knows(&self, page: &Page, accusation: &Accusation) -> bool {
        let mut known = self
            .known
            .iter()
            .filter(|entry| entry.command == page.title);
        known.any(|entry| entry.is(accusation))
    }
}

fn violations(page: &Page) -> impl Iterator<Item = &Accusation> {
    let all = page.accusations.iter();
    all.filter(|accusation| accusation.verdict == Verdict::Violation)
}

impl Entry {
    fn is(&self, accusation: &Accusation) -> bool {
        self.fingerprint == accusation.fingerprint
    }
}

impl Compared<'_> {
    /// For people.
    pub fn render(&self, path: &Path) -> String {
        let mut text = String::new();
        let path = path.display();
        for accusation in &self.new {
            let _ = writeln!(text, "new, and not in {path}: {accusation}");
        }
        for accusation in &self.known {
            let _ = writeln!(text, "known by {path}: {accusation}");
        }
        for Entry {
            sentence, check, ..
        } in &self.resolved
        {
            let _ = writeln!(
                text,
                "resolved, and to be taken out of {path} (--update-baseline): {sentence} ({check})"
            );
        }
        let _ = writeln!(text, "beside what {path} knows: {}", self.verdict);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(checks: &[&str], extent: Extent) -> Page {
        let accusation = |check: &&str| Accusation {
            check: (*check).to_owned(),
            sentence: "wrong".into(),
            verdict: Verdict::Violation,
            fingerprint: Fingerprint::of(check, ["select $"]),
        };
        Page {
            title: "explore one-item".into(),
            verdict: match checks.is_empty() {
                true => Verdict::Valid,
                false => Verdict::Violation,
            },
            explained: Vec::new(),
            accusations: checks.iter().map(accusation).collect(),
            sections: Vec::new(),
            facts: Vec::new(),
            again: String::new(),
            source: "rowlock.toml".into(),
            extent,
        }
    }

    fn known(checks: &[&str]) -> Known {
        let mut known = Known::default();
        known.update(&page(checks, Extent::Whole));
        known
    }

    #[test]
    fn what_is_known_passes_what_is_new_fails_and_what_is_resolved_must_go() {
        let verdict = |known: &Known, page: &Page| known.compare(page).verdict;
        let one = known(&["a"]);
        assert_eq!(verdict(&one, &page(&["a"], Extent::Whole)), Verdict::Valid);
        assert_eq!(
            verdict(&one, &page(&["a", "b"], Extent::Whole)),
            Verdict::Violation
        );
        assert_eq!(verdict(&one, &page(&[], Extent::Whole)), Verdict::Violation);
        assert_eq!(one.compare(&page(&[], Extent::Whole)).resolved.len(), 1);
        assert_eq!(
            verdict(&known(&[]), &page(&[], Extent::Whole)),
            Verdict::Valid
        );
        assert_eq!(
            verdict(&known(&[]), &page(&["a"], Extent::Whole)),
            Verdict::Violation
        );
    }

    #[test]
    fn a_run_that_ended_early_proves_nothing_and_resolves_nothing() {
        let mut two = known(&["a", "b"]);
        let early = page(&["a"], Extent::CutShort);
        let compared = two.compare(&early);
        assert_eq!(compared.verdict, Verdict::Inconclusive);
        assert!(compared.resolved.is_empty());
        let before = two.clone();
        two.update(&early);
        assert_eq!(two, before);
        let sample = page(&["a"], Extent::Sample);
        assert_eq!(two.compare(&sample).verdict, Verdict::Valid);
        assert!(two.compare(&sample).resolved.is_empty());
        two.update(&page(&["a"], Extent::Whole));
        assert_eq!(two, known(&["a"]));
    }

    #[test]
    fn another_command_knows_nothing_of_it_and_keeps_its_own() {
        let mut one = known(&["a"]);
        let other = Page {
            title: "faults".into(),
            ..page(&["b"], Extent::Whole)
        };
        assert_eq!(one.compare(&other).new.len(), 1);
        one.update(&other);
        assert_eq!(one.known.len(), 2);
        assert_eq!(
            one.compare(&page(&["a"], Extent::Whole)).verdict,
            Verdict::Valid
        );
    }
}
