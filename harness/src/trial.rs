//! One world from its first row to its verdict, in numbers.

use hdrhistogram::Histogram;
use serde::Serialize;

use rowlock_core::finding::{Finding, Outcome};
use rowlock_core::verdict::Verdict;
use rowlock_shop::history::{Operation, Refusal};

/// How often each kind of answer came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// 200: acknowledged purchases.
    pub ok: u64,
    /// 400: refusals.
    pub bad_request: u64,
    /// 409: conflicts.
    pub conflict: u64,
    /// 5xx.
    pub server_error: u64,
    /// Any other status.
    pub other: u64,
    /// No answer at all.
    pub none: u64,
}

impl Tally {
    /// Counts the answers of `history`.
    pub fn of(history: &[Operation]) -> Tally {
        let mut tally = Tally::default();
        for operation in history {
            let count = match operation.status {
                Some(200..=299) => &mut tally.ok,
                Some(400) => &mut tally.bad_request,
                Some(409) => &mut tally.conflict,
                Some(500..=599) => &mut tally.server_error,
                Some(_) => &mut tally.other,
                None => &mut tally.none,
            };
            *count += 1;
        }
        tally
    }
}

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
    /// Acknowledged purchases per second, from the first intended start to the last answer.
    pub purchases_per_second: f64,
    /// Operations that gave way to others (409, and nothing happened).
    pub gave_way: u64,
    /// Every check and how it came out.
    pub findings: Vec<Finding>,
    /// What the findings compose to; none where the trial does not apply to the target.
    pub verdict: Option<Verdict>,
}

impl Trial {
    /// Sums up `history` and composes the verdict of `findings`. What holds of a history without
    /// an operation counts as unchecked: nobody asked.
    pub fn new(name: &str, history: &[Operation], mut findings: Vec<Finding>) -> Trial {
        if history.is_empty() {
            for finding in findings
                .iter_mut()
                .filter(|it| it.outcome == Outcome::Holds)
            {
                finding.outcome = Outcome::Unchecked("the trial made no operation".into());
            }
        }
        let latencies = latencies_us(history);
        let answers = Tally::of(history);
        let first_ns = history
            .iter()
            .map(|operation| operation.intended_ns)
            .min()
            .unwrap_or(0);
        let last_ns = history
            .iter()
            .map(|operation| operation.completed_ns)
            .max()
            .unwrap_or(0);
        let seconds = last_ns.saturating_sub(first_ns) as f64 / 1e9;
        let verdict = Verdict::compose(findings.iter().filter_map(Finding::verdict));
        Trial {
            name: name.into(),
            operations: history.len(),
            answers,
            p50_us: latencies.value_at_quantile(0.50),
            p99_us: latencies.value_at_quantile(0.99),
            purchases_per_second: if seconds > 0.0 {
                answers.ok as f64 / seconds
            } else {
                0.0
            },
            gave_way: gave_way(history),
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
    pub fn not_applicable(name: &str, why: &str) -> Trial {
        let finding = Finding {
            name: name.into(),
            statement: "the whole trial".into(),
            outcome: Outcome::NotApplicable(why.into()),
        };
        Trial {
            verdict: None,
            ..Trial::new(name, &[], vec![finding])
        }
    }

    /// A trial in which a customer buys an item again, of a target that does not sell it again.
    pub fn once_per_customer(name: &str) -> Trial {
        Trial::not_applicable(name, "the target sells an item once to each customer")
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

fn gave_way(history: &[Operation]) -> u64 {
    let history = history.iter();
    let gave_way = history.filter(|operation| operation.is_refused(&Refusal::Conflict));
    gave_way.count() as u64
}

fn latencies_us(history: &[Operation]) -> Histogram<u64> {
    /// An hour, which no client waits.
    const LONGEST_US: u64 = 3_600_000_000;
    let mut latencies =
        Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds and figures are allowed");
    for operation in history
        .iter()
        .filter(|operation| operation.status.is_some())
    {
        let latency_ns = operation.completed_ns.saturating_sub(operation.intended_ns);
        latencies.saturating_record(latency_ns / 1000);
    }
    latencies
}
