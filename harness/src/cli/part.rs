//! A part of a longer run: what one command came to, for people, for programs and for CI systems.

use std::process::ExitCode;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use rowlock_core::verdict::Verdict;
use serde_json::{Value, json};

use super::exit_code;
use crate::report::html::{Extent, NO_CONTRACT, Page};
use crate::report::{Accusation, Fingerprint};

/// What a command came to.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) verdict: Verdict,
    /// For people.
    pub(super) text: String,
    /// As a page.
    pub(super) page: Page,
    /// As JSON.
    pub(super) report: Value,
    /// As JUnit XML.
    pub(super) suites: Vec<TestSuite>,
}

/// Parts as JUnit XML.
///
/// # Errors
/// A text that XML cannot hold.
pub(super) fn junit<'a>(
    name: &str,
    parts: impl IntoIterator<Item = &'a Part>,
) -> Result<String, quick_junit::SerializeError> {
    let mut report = quick_junit::Report::new(name);
    for part in parts {
        report.add_test_suites(part.suites.iter().cloned());
    }
    report.to_string()
}

/// A command that was run as a part.
#[derive(Debug)]
pub(super) struct Ran {
    /// Its line, without `rowlock`.
    pub(super) line: String,
    /// What it ended with.
    pub(super) code: ExitCode,
    /// What it came to; nothing where it concluded nothing, which it has said on standard error.
    pub(super) part: Part,
}

impl Ran {
    /// A command that ended with `ended`.
    pub(super) fn new(line: String, ended: Result<Part, ExitCode>) -> Ran {
        let (code, part) = match ended {
            Ok(part) => (exit_code::of(part.verdict), part),
            Err(code) => (code, nothing(&line)),
        };
        Ran { line, code, part }
    }

    /// As JSON.
    pub(super) fn report(&self) -> Value {
        json!({
            "command": format!("rowlock {}", self.line),
            "verdict": self.part.verdict,
            "report": self.part.report,
        })
    }
}

/// Of a command that concluded nothing.
fn nothing(line: &str) -> Part {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message("nothing was concluded");
    let mut suite = TestSuite::new(line);
    suite.add_test_case(TestCase::new(line, status));
    Part {
        page: Page {
            title: line.to_owned(),
            verdict: Verdict::Inconclusive,
            explained: Vec::new(),
            accusations: vec![Accusation {
                check: "not-proven".into(),
                sentence: format!("nothing was concluded by rowlock {line}"),
                verdict: Verdict::Inconclusive,
                fingerprint: Fingerprint::of("not-proven", [line]),
            }],
            sections: Vec::new(),
            facts: Vec::new(),
            again: line.to_owned(),
            source: NO_CONTRACT.into(),
            extent: Extent::CutShort,
        },
        verdict: Verdict::Inconclusive,
        text: String::new(),
        report: Value::Null,
        suites: vec![suite],
    }
}
