//! Every step of a purchase, broken in every way that leaves the server alive: the
//! [fault campaign](crate::fault), a trial for each of its stories.

use std::collections::BTreeMap;

use rowlock_core::finding::{Finding, Outcome};

use super::{Trials, not_applicable};
use crate::fault::gentle_faults;
use crate::load::Trial;
use crate::setting::Setting;
use crate::shop::Story;
use crate::shop::campaign::{self, Campaign, Plan, Played};

pub(super) async fn run(setting: &Setting<'_>) -> Trials {
    let plan = Plan {
        faults: gentle_faults(),
        ..Plan::default()
    };
    let campaign = campaign::run(setting, &plan).await?;
    let stories = [Story::Purchase, Story::Refusal, Story::Repeat];
    Ok(stories.map(|story| trial(&campaign, story)).into())
}

/// All cases of one story as a trial: a check holds where it holds in every case.
fn trial(campaign: &Campaign, story: Story) -> Trial {
    let name = format!("every step of a {story}");
    let Some(steps) = campaign.steps.get(&story.to_string()) else {
        return not_applicable(&name, "the target knows no idempotency keys");
    };
    let played: Vec<_> = campaign
        .played
        .iter()
        .filter(|played| played.case.story == story)
        .collect();
    let name = format!(
        "{} steps of a {story}, {} faults",
        steps.len(),
        played.len()
    );
    let history: Vec<_> = played
        .iter()
        .flat_map(|played| played.operations.iter().cloned())
        .collect();
    Trial::new(&name, &history, summarise(&played))
}

fn summarise(played: &[&Played]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for played in played {
        for finding in &played.findings {
            let index = *places.entry(&finding.name).or_insert_with(|| {
                findings.push(Finding {
                    outcome: Outcome::Holds,
                    ..finding.clone()
                });
                findings.len() - 1
            });
            add(&mut findings[index], finding, played);
        }
    }
    findings
}

/// Takes one case's outcome into the summary: the worst decides, and names its cases.
fn add(summary: &mut Finding, finding: &Finding, played: &Played) {
    let line = |what: &str| {
        format!(
            "{what} (at `{}`; case {} of rowlock faults)",
            played.sql, played.case
        )
    };
    match (&mut summary.outcome, &finding.outcome) {
        (Outcome::Violated(all), Outcome::Violated(places)) => {
            all.extend(places.iter().map(|place| line(place)));
        }
        (summary, Outcome::Violated(places)) => {
            *summary = Outcome::Violated(places.iter().map(|place| line(place)).collect());
        }
        (summary @ Outcome::Holds, Outcome::Unchecked(why)) => {
            *summary = Outcome::Unchecked(line(why));
        }
        (summary @ Outcome::Holds, Outcome::NotApplicable(why)) => {
            *summary = Outcome::NotApplicable(why.clone());
        }
        _ => {}
    }
}
