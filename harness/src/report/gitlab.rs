//! What GitLab shows of a run in a merge request: its code-quality report.
//!
//! The format is Code Climate's, of which GitLab reads a part. It wants a file for everything; where a
//! race is in the source nobody knows, so that is the file that says what is judged.

use rowlock_core::verdict::Verdict;
use serde::Serialize;

use super::html::Page;

#[derive(Serialize)]
struct Issue<'a> {
    description: String,
    check_name: &'a str,
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: usize,
}

/// The accusations of `page` as issues.
///
/// # Panics
/// Never: they hold nothing that JSON cannot say.
pub fn code_quality(page: &Page) -> String {
    let issues = page.accusations.iter().map(|accusation| Issue {
        description: format!("{}: {accusation}", page.title),
        check_name: &accusation.check,
        fingerprint: accusation.fingerprint.to_string(),
        severity: match accusation.verdict {
            Verdict::Violation => "critical",
            Verdict::Inconclusive | Verdict::Valid => "minor",
        },
        location: Location {
            path: page.source.display().to_string(),
            lines: Lines { begin: 1 },
        },
    });
    let issues: Vec<_> = issues.collect();
    serde_json::to_string_pretty(&issues).expect("issues are plain data") + "\n"
}
