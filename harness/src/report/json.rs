//! The report as one JSON document.

use super::Report;

/// The report, indented, with a line break at its end.
///
/// # Panics
/// Never: a report holds nothing that JSON cannot say.
pub fn render(report: &Report) -> String {
    serde_json::to_string_pretty(report).expect("a report is plain data") + "\n"
}
