//! The gallery's matrix: every variant under every detector.

use maud::{Markup, html};
use rowlock_core::verdict::Verdict;

use super::{Extent, Page, Section, class};
use crate::mutation::detection::Detected;
use crate::mutation::matrix;
use crate::mutation::report::{Cell, Report, Row, Status};
use crate::report::{Accusation, Fingerprint};

/// The page of `report`; `again` is the command line that makes it again.
pub fn mutants(report: &Report, again: &str) -> Page {
    let sections = matrix::KINDS.iter().filter_map(|(kind, title)| {
        let rows: Vec<_> = report.rows.iter().filter(|row| row.kind == *kind).collect();
        (!rows.is_empty()).then(|| Section::new(*title, table(report, &rows)))
    });
    let wrong = report.rows.iter();
    let wrong = wrong.filter(|row| row.status().verdict() != Verdict::Valid);
    Page {
        title: "mutants".into(),
        verdict: report.verdict,
        explained: Vec::new(),
        accusations: wrong.map(accusation).collect(),
        sections: sections.collect(),
        facts: vec![
            ("postgres", report.postgres.clone()),
            ("seed", report.seed.to_string()),
            ("time", format!("{} s", report.elapsed_ms / 1000)),
        ],
        again: again.to_owned(),
        source: super::NO_CONTRACT.into(),
        extent: Extent::Whole,
    }
}

fn accusation(row: &Row) -> Accusation {
    Accusation {
        check: row.name.clone(),
        sentence: status(row.status()).to_owned(),
        verdict: row.status().verdict(),
        fingerprint: Fingerprint::of(&row.name, [status(row.status())]),
    }
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Caught => "caught",
        Status::Survived => "no detector caught it",
        Status::Passed => "nothing is found, as it must be",
        Status::FalsePositive => "it is right, and accused",
        Status::Undecided => "undecided: something could not be concluded",
    }
}

fn table(report: &Report, rows: &[&Row]) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label={ "The matrix: " (rows[0].name) } {
            table.matrix {
                thead {
                    tr {
                        th scope="col" { "service" }
                        @for column in &report.columns { th scope="col" { (column.name()) } }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            th scope="row" { (row.name) }
                            @for column in &report.columns {
                                @let cell = row.cells.iter().find(|cell| cell.detector == *column);
                                td { @match cell { Some(cell) => (one_cell(cell)), None => "–" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What is caught is good news of a mutant and bad of a right service, so it has no colour here.
fn one_cell(cell: &Cell) -> Markup {
    let mark = matrix::mark(&cell.detection);
    html! {
        @match &cell.detection.seen {
            Detected::Nothing => (mark),
            Detected::Caught { by, violated } => {
                details.cell {
                    summary { (mark) }
                    p { "by " (by) }
                    ul { @for name in violated { li { (name) } } }
                }
            }
            Detected::Inconclusive { why } => {
                details.cell {
                    summary.(class(Verdict::Inconclusive)) { (mark) }
                    p { (why) }
                }
            }
        }
    }
}
