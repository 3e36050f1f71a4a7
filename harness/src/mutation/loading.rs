//! A scenario under a small load.

use std::time::Instant;

use rowlock_core::verdict::Verdict;

use super::detection::{Detected, Detection};
use crate::load::Trial;
use crate::setting::Setting;
use crate::shop::scenario::{self, Load, ScenarioName};

/// Runs the scenario called `name` with so much `load` against the target of `setting`. It is caught by the first
/// violated trial; all trials run before that is known.
pub(super) async fn load(setting: &Setting<'_>, load: &Load, name: ScenarioName) -> Detection {
    let start = Instant::now();
    let (seen, runs) = match scenario::of(name).run(setting, load).await {
        Err(error) => (Detected::failed(&error), 0),
        Ok(trials) => judge(&trials),
    };
    Detection::new(seen, runs, start.elapsed())
}

fn judge(trials: &[Trial]) -> (Detected, u64) {
    let of = |verdict| {
        trials
            .iter()
            .zip(1..)
            .find(move |(t, _)| t.verdict == Some(verdict))
    };
    if let Some((trial, number)) = of(Verdict::Violation) {
        let violations = trial.violations();
        let seen = Detected::Caught {
            by: trial.name.clone(),
            violated: violations
                .map(|(finding, _)| finding.name.clone())
                .collect(),
        };
        return (seen, number);
    }
    let ran = trials
        .iter()
        .filter(|trial| trial.verdict.is_some())
        .count() as u64;
    let why = match of(Verdict::Inconclusive) {
        Some((trial, _)) => format!("{}: {}", trial.name, why_unchecked(trial)),
        None if ran == 0 => "no trial applies to the target".to_owned(),
        None => return (Detected::Nothing, ran),
    };
    (Detected::Inconclusive { why }, ran)
}

fn why_unchecked(trial: &Trial) -> String {
    let reasons = trial
        .not_verified()
        .map(|(name, why)| format!("{name}: {why}"));
    reasons.collect::<Vec<_>>().join("; ")
}
