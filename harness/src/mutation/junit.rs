//! The report as JUnit XML, for CI systems that show it: a suite per kind, a case per variant.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use rowlock_core::verdict::Verdict;

use super::detection::Detected;
use super::report::{Report, Row, Status};
use super::variant::Kind;

/// The report as XML.
///
/// # Errors
/// A text that XML cannot hold.
pub fn render(report: &Report) -> Result<String, quick_junit::SerializeError> {
    let mut junit = quick_junit::Report::new("rowlock mutants");
    for (kind, name) in [
        (Kind::Baseline, "baseline"),
        (Kind::Mutant, "mutants"),
        (Kind::Lawful, "lawful"),
    ] {
        let mut suite = TestSuite::new(name);
        suite.add_property(("seed", report.seed.to_string().as_str()));
        suite.add_property(("postgres", report.postgres.as_str()));
        suite.add_test_cases(report.rows.iter().filter(|row| row.kind == kind).map(case));
        junit.add_test_suite(suite);
    }
    junit.to_string()
}

fn case(row: &Row) -> TestCase {
    let status = row.status();
    let status = match status.verdict() {
        Verdict::Valid => TestCaseStatus::success(),
        Verdict::Violation => failed(row, NonSuccessKind::Failure),
        Verdict::Inconclusive => failed(row, NonSuccessKind::Error),
    };
    let mut case = TestCase::new(row.name.clone(), status);
    case.set_system_out(lines(row));
    case
}

fn failed(row: &Row, kind: NonSuccessKind) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(match row.status() {
        Status::Survived => "survived: no detector caught it",
        Status::FalsePositive => "accused, and it is right",
        _ => "undecided: nothing is claimed",
    });
    status
}

/// What each detector made of it, a line each.
fn lines(row: &Row) -> String {
    let line = |cell: &super::report::Cell| {
        let what = match &cell.detection.seen {
            Detected::Caught { by, violated } => format!("caught by {by}: {}", violated.join(", ")),
            Detected::Nothing => "nothing".to_owned(),
            Detected::Inconclusive { why } => format!("inconclusive: {why}"),
        };
        let (name, unit) = (cell.detector.name(), cell.detector.unit());
        format!(
            "{name}: {what} ({} {unit}s, {} ms)\n",
            cell.detection.runs, cell.detection.elapsed_ms
        )
    };
    row.cells.iter().map(line).collect()
}
