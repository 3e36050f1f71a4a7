//! Scenarios as a page: what is violated, the numbers, their course, what held and what was not asked.

use maud::{Markup, html};
use rowlock_core::finding::{Finding, Outcome};
use rowlock_core::verdict::Verdict;

use super::{Extent, Page, Section, chart, class};
use crate::load::Trial;
use crate::report::{Accusation, Fingerprint, Report, human};

/// Places of one violation that are shown.
const PLACES: usize = 30;

/// The page of `report`; `title` says what was run, `again` is the command line that makes it again.
pub fn load(report: &Report, title: &str, again: &str) -> Page {
    let trials = || {
        let scenarios = report.scenarios.iter();
        scenarios.flat_map(|scenario| {
            scenario
                .trials
                .iter()
                .map(|trial| (scenario.name.as_str(), trial))
        })
    };
    let accusations = trials().flat_map(|(scenario, trial)| {
        let findings = trial.findings.iter();
        findings.filter_map(move |finding| accusation(scenario, trial, finding))
    });
    let mut sections = vec![Section::new("In numbers", table(report))];
    for (scenario, trial) in trials() {
        let body = one_trial(trial);
        sections
            .extend(body.map(|body| Section::new(format!("{scenario} ({})", trial.name), body)));
    }
    let held = human::held(report).into_iter();
    let held: Vec<_> = held
        .map(|(name, statement, trials)| format!("{name}: {statement} (held in {trials})"))
        .collect();
    sections.extend(Section::lines("What held", &held));
    sections.extend(Section::lines(
        "What was not verified",
        &report.not_verified,
    ));
    let reproduce = report.scenarios.iter().filter(|it| !it.is_valid());
    let reproduce: Vec<_> = reproduce.map(|it| it.reproduce.clone()).collect();
    sections.extend(Section::lines("To run again what is not valid", &reproduce));
    Page {
        title: title.to_owned(),
        verdict: report.verdict,
        explained: Vec::new(),
        accusations: accusations.collect(),
        sections,
        facts: vec![
            ("postgres", report.postgres.clone()),
            ("target", report.target.clone()),
            ("seed", report.seed.to_string()),
        ],
        again: again.to_owned(),
        source: super::NO_CONTRACT.into(),
        extent: Extent::Sample,
    }
}

/// What `finding` holds against the service. What could not be checked counts only where nothing in the
/// trial is violated.
fn accusation(scenario: &str, trial: &Trial, finding: &Finding) -> Option<Accusation> {
    let (place, verdict) = match &finding.outcome {
        Outcome::Violated(places) => {
            let place = places.first().unwrap_or(&finding.statement);
            (place.clone(), Verdict::Violation)
        }
        Outcome::Unchecked(why) if trial.verdict == Some(Verdict::Inconclusive) => (
            format!("could not be checked: {why}"),
            Verdict::Inconclusive,
        ),
        _ => return None,
    };
    Some(Accusation {
        check: finding.name.clone(),
        sentence: format!("{scenario} ({}): {place}", trial.name),
        verdict,
        fingerprint: Fingerprint::of(&finding.name, [scenario, &trial.name]),
    })
}

fn table(report: &Report) -> Markup {
    let rows = report.scenarios.iter().flat_map(|scenario| {
        let trials = scenario.trials.iter();
        trials.map(|trial| (human::row(&scenario.name, trial), trial.verdict))
    });
    html! {
        div.wide tabindex="0" role="region" aria-label="The numbers" {
            table.numbers {
                thead { tr { @for heading in human::header(report.counted()) { th scope="col" { (heading) } } } }
                tbody {
                    @for (cells, verdict) in rows {
                        tr {
                            @for cell in cells { td { (cell) } }
                            @match verdict {
                                Some(verdict) => td { span.verdict.(class(verdict)) { (verdict) } },
                                None => td { "n/a" },
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a trial has to show beside its line.
fn one_trial(trial: &Trial) -> Option<Markup> {
    let is_valid = matches!(trial.verdict, None | Some(Verdict::Valid));
    if is_valid && trial.course.is_empty() {
        return None;
    }
    Some(html! {
        (chart::render(&trial.course, trial.rate.counted))
        @for (finding, places) in trial.violations() {
            h3.error { "violated: " (finding.statement) " (" (finding.name) ")" }
            ul {
                @for place in places.iter().take(PLACES) { li { (place) } }
                @if places.len() > PLACES { li { "and " (places.len() - PLACES) " more" } }
            }
        }
    })
}
