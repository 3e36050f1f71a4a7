//! What a run found, as data; [`human`], [`json`] and [`junit`] write the same.

pub mod human;
pub mod json;
pub mod junit;

use serde::Serialize;

use crate::seed::Seed;
use crate::trial::Trial;
use crate::verdict::Verdict;

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
        let mut not_verified = Vec::new();
        for scenario in &scenarios {
            not_verified.extend(scenario.not_verified());
        }
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
}

impl ScenarioReport {
    /// What its trials could not ask, one line per check and reason, with the trials that it
    /// concerns. What breaks on purpose is expected to answer 5xx, and is no gap.
    fn not_verified(&self) -> Vec<String> {
        let mut lines: Vec<(String, Vec<&str>)> = Vec::new();
        for trial in &self.trials {
            for (check, why) in trial.not_verified() {
                let line = format!("{check}: {why}");
                match lines.iter_mut().find(|(known, _)| *known == line) {
                    Some((_, trials)) => trials.push(&trial.name),
                    None => lines.push((line, vec![&trial.name])),
                }
            }
        }
        let with_trials = |(line, trials): (String, Vec<&str>)| {
            format!("{line} ({}: {})", self.name, trials.join("; "))
        };
        lines.into_iter().map(with_trials).collect()
    }
}
