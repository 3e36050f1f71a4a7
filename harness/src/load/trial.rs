//! One world from its first row to its verdict, in numbers.

use rowlock_core::finding::{Finding, Outcome};
use rowlock_core::verdict::Verdict;
use serde::Serialize;

use super::measure::{Course, Measure, Measured, Rate, Tally};

/// What a trial did, how fast, and what holds.
#[derive(Debug, Clone, Serialize)]
pub struct Trial {
    /// The trial's name within its scenario.
    pub name: String,
    /// How many operations it made.
    pub operations: usize,
    /// Their answers.
    pub answers: Tally,
    /// Median latency of the answered operations from their intended start, in µs.
    pub p50_us: u64,
    /// 99th percentile of the same, in µs.
    pub p99_us: u64,
    /// Acknowledged operations, from the first intended start to the last answer.
    #[serde(flatten)]
    pub rate: Rate,
    /// Operations that gave way to others, and nothing happened.
    pub gave_way: u64,
    /// How the operations went on; empty where they were few.
    #[serde(skip_serializing_if = "Course::is_empty")]
    pub course: Course,
    /// Every check and how it came out.
    pub findings: Vec<Finding>,
    /// What the findings compose to; none where the trial does not apply to the target.
    pub verdict: Option<Verdict>,
}

impl Trial {
    /// Sums up `history` and composes the verdict of `findings`. What holds of a history without
    /// an operation counts as unchecked: nobody asked.
    pub fn new<O: Measured>(name: &str, history: &[O], mut findings: Vec<Finding>) -> Trial {
        if history.is_empty() {
            for finding in findings
                .iter_mut()
                .filter(|it| it.outcome == Outcome::Holds)
            {
                finding.outcome = Outcome::Unchecked("the trial made no operation".into());
            }
        }
        let verdict = Verdict::compose(findings.iter().filter_map(Finding::verdict));
        let Measure {
            operations,
            answers,
            gave_way,
            p50_us,
            p99_us,
            rate,
            course,
        } = Measure::of(history);
        Trial {
            name: name.into(),
            operations,
            answers,
            p50_us,
            p99_us,
            rate,
            gave_way,
            course,
            findings,
            verdict: Some(verdict),
        }
    }

    /// The share of the operations that gave way, in percent.
    pub fn gave_way_percent(&self) -> f64 {
        match self.operations {
            0 => 0.0,
            operations => self.gave_way as f64 * 100.0 / operations as f64,
        }
    }

    /// The same trial, held to at most `percent` of operations that gave way.
    pub fn with_most_conflicts(mut self, percent: f64) -> Trial {
        if self.verdict.is_none() {
            return self;
        }
        let share = self.gave_way_percent();
        let (gave_way, operations) = (self.gave_way, self.operations);
        let words = || format!("{gave_way} of {operations} gave way, {share:.1} %");
        self.findings.push(Finding::new(
            "conflicts-within-limit",
            &format!("at most {percent} % of the requests give way to others (409)"),
            (share > percent).then(words).into_iter().collect(),
        ));
        self.verdict = Some(Verdict::compose(
            self.findings.iter().filter_map(Finding::verdict),
        ));
        self
    }

    /// A trial that cannot be asked of the target.
    pub fn not_applicable<O: Measured>(name: &str, why: &str) -> Trial {
        let finding = Finding {
            name: name.into(),
            statement: "the whole trial".into(),
            outcome: Outcome::NotApplicable(why.into()),
        };
        Trial {
            verdict: None,
            ..Trial::new::<O>(name, &[], vec![finding])
        }
    }

    /// The checks that did not apply or could not be made, with the reason.
    pub fn not_verified(&self) -> impl Iterator<Item = (&str, &str)> {
        self.findings
            .iter()
            .filter_map(|finding| match &finding.outcome {
                Outcome::NotApplicable(why) | Outcome::Unchecked(why) => {
                    Some((finding.name.as_str(), why.as_str()))
                }
                Outcome::Holds | Outcome::Violated(_) => None,
            })
    }

    /// The violated checks, with every place where they are.
    pub fn violations(&self) -> impl Iterator<Item = (&Finding, &[String])> {
        self.findings
            .iter()
            .filter_map(|finding| match &finding.outcome {
                Outcome::Violated(places) => Some((finding, places.as_slice())),
                _ => None,
            })
    }
}
