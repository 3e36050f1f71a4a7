//! A campaign of faults as a matrix, with the story of each cell behind a click.

use maud::{Markup, html};
use rowlock_core::answer::Answer;
use rowlock_core::finding::Outcome;
use rowlock_core::verdict::Verdict;

use super::{Section, class};
use crate::fault::campaign::Campaign;
use crate::fault::matrix;
use crate::fault::play::Played;
use crate::fault::stories::Stories;
use crate::report::{Accusation, Fingerprint};

/// What is wrong in `campaign`, and what is not proven where nothing is wrong.
pub fn fault_accusations<S: Stories>(campaign: &Campaign<S>) -> Vec<Accusation> {
    let worst = campaign.played.iter();
    let worst = worst.filter(|it| it.verdict == campaign.verdict && it.verdict != Verdict::Valid);
    let accusations = worst.flat_map(|played| {
        let complaints = matrix::complaints(played).into_iter();
        complaints.map(move |(check, place)| {
            let case = &played.case;
            let (story, fault) = (case.story.to_string(), case.fault.to_string());
            let shape = rowlock_explorer::shape(&played.sql);
            Accusation {
                check: check.to_owned(),
                sentence: format!("{case}: {place}"),
                verdict: played.verdict,
                fingerprint: Fingerprint::of(check, [&*story, &*fault, &*shape]),
            }
        })
    });
    accusations.collect()
}

/// The matrices of `campaign`, and what was left out; `again` is the rest of the command line that the
/// run was given.
pub fn faults<S: Stories>(campaign: &Campaign<S>, again: &str) -> Vec<Section> {
    let stories = matrix::stories(campaign);
    let mut sections: Vec<_> = stories
        .iter()
        .map(|story| Section::new(story.title.clone(), table(story, again)))
        .collect();
    let idle = campaign
        .played
        .iter()
        .filter(|played| played.case.step == 0);
    let idle: Vec<_> = idle.collect();
    if !idle.is_empty() {
        let body = html! { @for played in idle { (cell(&[played], again)) } };
        sections.push(Section::new(
            "Nothing under way: terminate-connection",
            body,
        ));
    }
    let left_out = matrix::left_open(campaign);
    sections.extend(Section::lines("What was not covered", &left_out));
    sections
}

fn table<S: Stories>(story: &matrix::StoryMatrix<'_, S>, again: &str) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label={ "The matrix: " (story.title) } {
            table.matrix {
                thead {
                    tr {
                        th scope="col" { "step" }
                        @for column in &story.columns { th scope="col" { (column) } }
                    }
                }
                tbody {
                    @for row in &story.rows {
                        tr {
                            th scope="row" { (row.step) " " code { (matrix::one_line(row.sql)) } }
                            @for cases in &row.cells {
                                td { @if cases.is_empty() { "–" } @else { (cell(cases, again)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell<S: Stories>(cases: &[&Played<S>], again: &str) -> Markup {
    let verdicts: Vec<_> = cases.iter().map(|played| played.verdict).collect();
    let worst = Verdict::compose(verdicts.iter().copied());
    html! {
        details.cell {
            summary.(class(worst)) { (matrix::cell(&verdicts)) }
            @for played in cases { (one_case(played, again)) }
        }
    }
}

fn one_case<S: Stories>(played: &Played<S>, again: &str) -> Markup {
    let held = played.findings.iter();
    let held = held
        .filter(|finding| finding.outcome == Outcome::Holds)
        .count();
    html! {
        div.case {
            p { strong { (played.case) } " " span.verdict.(class(played.verdict)) { (played.verdict) } }
            ul {
                @if played.impossible { li { "no PostgreSQL raises that error there" } }
                @for operation in &played.operations { li { (operation.describe()) } }
                @for (name, place) in matrix::complaints(played) { li.error { (place) " (" (name) ")" } }
                li { (held) " checks hold" }
            }
            code { "rowlock faults --case " (played.case) " " (again) }
        }
    }
}
