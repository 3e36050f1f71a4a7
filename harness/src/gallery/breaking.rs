//! Faults at the steps of a request.

use std::time::Instant;

use rowlock_core::verdict::Verdict;

use super::exhibit::{Exhibit, Kind};
use super::sighting::{Seen, Sighting};
use crate::fault::campaign::{self, Campaign, Plan};
use crate::fault::matrix::complaints;
use crate::fault::{Fault, SqlState, gentle_faults};
use crate::mutants::Detector;
use crate::world::Setting;

/// What every mutant meets at every step, after the faults that must catch it: a failed
/// statement, a request and a reply that are lost, and a client that hangs up.
const SAMPLE: [Fault; 4] = [
    Fault::Error(SqlState::InternalError),
    Fault::DropBefore,
    Fault::DropAfter,
    Fault::ClientAbort,
];

/// Breaks every step of `exhibit`, which is the target of `setting`: in every way that leaves
/// the server alive, or for a mutant in some, until it is caught.
pub(super) async fn break_steps(setting: &Setting<'_>, exhibit: &Exhibit) -> Sighting {
    let start = Instant::now();
    let plan = Plan {
        faults: faults(exhibit),
        until_violation: exhibit.kind == Kind::Mutant,
        ..Plan::default()
    };
    let (seen, runs) = match campaign::run(setting, &plan).await {
        Err(error) => (Seen::failed(&error), 0),
        Ok(campaign) => (judge(&campaign), campaign.played.len() as u64),
    };
    Sighting::new(seen, runs, start.elapsed())
}

fn faults(exhibit: &Exhibit) -> Vec<Fault> {
    if exhibit.kind != Kind::Mutant {
        return gentle_faults();
    }
    let is_expected = |fault: &Fault| {
        let expected = exhibit.expected.iter();
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

fn judge(campaign: &Campaign) -> Seen {
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
        return Seen::Caught {
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
        None => return Seen::Nothing,
    };
    Seen::Inconclusive { why }
}
