//! Faults at the steps of a request.

use std::time::Instant;

use rowlock_core::verdict::Verdict;

use super::detection::{Detected, Detection};
use super::variant::{Kind, Variant};
use crate::fault::campaign::{self, Campaign, Plan};
use crate::fault::matrix::complaints;
use crate::fault::stories::Stories;
use crate::fault::{Fault, SqlState, gentle_faults};
use crate::mutants::Detector;
use crate::setting::Setting;

/// What every mutant meets at every step, after the faults that must catch it: a failed
/// statement, a request and a reply that are lost, and a client that hangs up.
const SAMPLE: [Fault; 4] = [
    Fault::Error(SqlState::InternalError),
    Fault::DropBefore,
    Fault::DropAfter,
    Fault::ClientAbort,
];

/// Breaks every step of the `stories` of `variant`, or of `only` some of them, which is the target of `setting`: in every way that
/// leaves the server alive, or for a mutant in some, until it is caught.
pub(super) async fn break_steps<S: Stories>(
    setting: &Setting<'_>,
    (stories, only): (&S, &[S::Name]),
    variant: &Variant,
) -> Detection {
    let start = Instant::now();
    let plan = Plan {
        faults: faults(variant),
        stories: only.to_vec(),
        until_violation: variant.kind == Kind::Mutant,
        ..Plan::default()
    };
    let (seen, runs) = match campaign::run(setting, stories, &plan).await {
        Err(error) => (Detected::failed(&error), 0),
        Ok(campaign) => (judge(&campaign), campaign.played.len() as u64),
    };
    Detection::new(seen, runs, start.elapsed())
}

fn faults(variant: &Variant) -> Vec<Fault> {
    if variant.kind != Kind::Mutant {
        return gentle_faults();
    }
    let is_expected = |fault: &Fault| {
        let expected = variant.expected.iter();
        let mut expected = expected.filter_map(|detector| match detector {
            Detector::Fault(column) => Some(*column),
            _ => None,
        });
        expected.any(|column| column == fault.column())
    };
    let (mut faults, others): (Vec<_>, Vec<_>) = gentle_faults().into_iter().partition(is_expected);
    faults.extend(others.into_iter().filter(|other| SAMPLE.contains(other)));
    faults
}

fn judge<S: Stories>(campaign: &Campaign<S>) -> Detected {
    let of = |verdict| {
        campaign
            .played
            .iter()
            .find(move |played| played.verdict == verdict)
    };
    if let Some(played) = of(Verdict::Violation) {
        let violated = |finding: &&rowlock_core::finding::Finding| {
            finding.verdict() == Some(Verdict::Violation)
        };
        let findings = played.findings.iter().filter(violated);
        return Detected::Caught {
            by: played.case.to_string(),
            violated: findings.map(|finding| finding.name.clone()).collect(),
        };
    }
    let why = match of(Verdict::Inconclusive) {
        Some(played) => {
            let complaints = complaints(played);
            let reasons: Vec<_> = complaints
                .iter()
                .map(|(name, why)| format!("{name}: {why}"))
                .collect();
            format!("{}: {}", played.case, reasons.join("; "))
        }
        None if campaign.played.is_empty() => "no step was broken".to_owned(),
        None => return Detected::Nothing,
    };
    Detected::Inconclusive { why }
}
