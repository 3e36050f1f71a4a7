//! The report as JUnit XML, for CI systems that show it: a suite per scenario, a case per check.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use rowlock_core::finding::{Finding, Outcome};

use super::Report;
use crate::load::Trial;

/// The report as XML.
///
/// # Errors
/// A text that XML cannot hold.
pub fn render(report: &Report) -> Result<String, quick_junit::SerializeError> {
    let mut junit = quick_junit::Report::new("rowlock");
    for scenario in &report.scenarios {
        let mut suite = TestSuite::new(&scenario.name);
        suite.add_property(("seed", report.seed.to_string().as_str()));
        suite.add_property(("postgres", report.postgres.as_str()));
        suite.add_property(("target", report.target.as_str()));
        suite.add_property(("reproduce", scenario.reproduce.as_str()));
        for trial in &scenario.trials {
            let name = format!("{}/{}", scenario.name, trial.name);
            suite.add_property((format!("{name}: numbers").as_str(), numbers(trial).as_str()));
            suite.add_test_cases(trial.findings.iter().map(|finding| case(&name, finding)));
        }
        junit.add_test_suite(suite);
    }
    junit.to_string()
}

fn numbers(trial: &Trial) -> String {
    let answers = trial.answers;
    format!(
        "operations {}, 200 {}, 400 {}, 409 {}, 5xx {}, other {}, none {}, p50 {} us, p99 {} us, \
         {}/s {:.0}, gave way {:.1} %",
        trial.operations,
        answers.ok,
        answers.bad_request,
        answers.conflict,
        answers.server_error,
        answers.other,
        answers.none,
        trial.p50_us,
        trial.p99_us,
        trial.rate.counted,
        trial.rate.per_second,
        trial.gave_way_percent()
    )
}

/// A check as a case, of a trial or whatever was run.
pub(crate) fn case(trial: &str, finding: &Finding) -> TestCase {
    let status = match &finding.outcome {
        Outcome::Holds => TestCaseStatus::success(),
        Outcome::Violated(places) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(format!("violated: {}", finding.statement));
            status.set_description(places.join("\n"));
            status
        }
        Outcome::Unchecked(why) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(format!("could not be checked: {why}"));
            status
        }
        Outcome::NotApplicable(why) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(why.clone());
            status
        }
    };
    let mut case = TestCase::new(&finding.name, status);
    case.set_classname(trial);
    case
}
