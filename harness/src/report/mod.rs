//! What a run found, as data; [`human`], [`json`], [`junit`] and [`html`] write the same.

mod accusation;
pub mod github;
pub mod gitlab;
pub mod html;
pub mod human;
pub mod json;
pub mod junit;
pub mod known;

use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use serde::Serialize;

pub use accusation::{Accusation, Fingerprint};

use crate::load::Trial;

/// The whole of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The verdict over all scenarios.
    pub verdict: Verdict,
    /// What every random choice came from.
    pub seed: Seed,
    /// The PostgreSQL it ran on, in words.
    pub postgres: String,
    /// The service under test, in words.
    pub target: String,
    /// The scenarios in the order in which they ran.
    pub scenarios: Vec<ScenarioReport>,
    /// What this run says nothing about.
    pub not_verified: Vec<String>,
}

/// One scenario's trials.
#[derive(Debug, Serialize)]
pub struct ScenarioReport {
    /// The scenario's name.
    pub name: String,
    /// Its trials in the order in which they ran.
    pub trials: Vec<Trial>,
    /// The command that runs this scenario again in the same way.
    pub reproduce: String,
}

impl Report {
    /// Composes the verdict of `scenarios`, and lists what they leave open.
    pub fn new(
        seed: Seed,
        postgres: String,
        target: String,
        scenarios: Vec<ScenarioReport>,
    ) -> Report {
        let trials = || scenarios.iter().flat_map(|scenario| &scenario.trials);
        let verdict = Verdict::compose(trials().filter_map(|trial| trial.verdict));
        let mut not_verified = gaps(trials());
        not_verified.push(
            "the orders of statements that no run here happened to make: load samples them".into(),
        );
        Report {
            verdict,
            seed,
            postgres,
            target,
            scenarios,
            not_verified,
        }
    }

    /// What the rates of all trials count.
    fn counted(&self) -> &'static str {
        let mut trials = self.scenarios.iter().flat_map(|scenario| &scenario.trials);
        trials
            .next()
            .map_or("operations", |trial| trial.rate.counted)
    }
}

/// What `trials` could not ask, one line per check and reason, with how many trials it concerns.
fn gaps<'a>(trials: impl Iterator<Item = &'a Trial> + Clone) -> Vec<String> {
    let all = trials.clone().count();
    let mut lines: Vec<(String, usize)> = Vec::new();
    for (check, why) in trials.flat_map(Trial::not_verified) {
        let line = format!("{check}: {why}");
        match lines.iter_mut().find(|(known, _)| *known == line) {
            Some((_, count)) => *count += 1,
            None => lines.push((line, 1)),
        }
    }
    let with_count = |(line, count)| format!("{line} ({count} of {all} trials)");
    lines.into_iter().map(with_count).collect()
}
