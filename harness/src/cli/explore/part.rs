//! What exploring one program of a contract came to, as a part of a longer run.

use std::process::ExitCode;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use rowlock_core::finding::Finding;
use rowlock_core::program::Program;
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;

use super::super::common::conclude;
use super::super::part::Part;
use super::{ExploreArgs, Searched, search};
use crate::explorer::coverage;
use crate::progress::Progress;
use crate::target::Described;

/// Explores a program of a contract, as a part of a longer run.
pub(in crate::cli) async fn explore_part(
    args: &ExploreArgs,
    described: Described,
) -> anyhow::Result<Result<Part, ExitCode>> {
    let progress = Progress::on_terminal();
    let seed = args.seed.unwrap_or_else(Seed::from_entropy);
    let program = args.contract_program(&described)?;
    let again = args.repeat(seed, &program.name, &args.contract_flags(&described));
    let name = program.name.clone();
    let search = async {
        let prepared = args.prepare_contract(described, program, &progress, None);
        search(args, prepared.await?, seed, &again, &progress).await
    };
    let searched = match conclude(search, &progress, &again).await? {
        Ok(searched) => searched,
        Err(code) => return Ok(Err(code)),
    };
    let mut suite = TestSuite::new(format!("explore {name}"));
    suite.add_property(("seed", seed.to_string().as_str()));
    suite.add_test_case(searched.case(&name));
    Ok(Ok(Part {
        page: searched.page(seed, &again, args.source()?),
        verdict: searched.explored.verdict(),
        text: searched.render(seed, &again),
        report: searched.report(seed),
        suites: vec![suite],
    }))
}

impl<P: Program> Searched<P> {
    /// For people.
    pub(super) fn render(&self, seed: Seed, again: &str) -> String {
        let remarks = self.remarks.iter().map(|line| format!("  {line}\n"));
        let remarks: String = remarks.collect();
        let coverage = coverage::render(&self.explored) + &remarks;
        let evidence = self.evidence.iter();
        let evidence: String = evidence
            .map(|evidence| format!("\n{}", evidence.text))
            .collect();
        format!("{coverage}seed {seed}; again: rowlock {again}\n{evidence}")
    }

    fn findings(&self) -> Vec<&Finding> {
        let violation = self.explored.violation.iter();
        violation.flat_map(|run| run.violated()).collect()
    }

    /// For programs.
    fn report(&self, seed: Seed) -> serde_json::Value {
        let explored = &self.explored;
        let schedule = explored.violation.as_ref();
        let schedule = schedule.map(|run| run.execution.schedule.to_string());
        serde_json::json!({
            "seed": seed,
            "schedules": explored.schedules,
            "interleavings": explored.distinct,
            "exhausted": explored.exhausted,
            "not_covered": explored.incomplete,
            "not_checked": explored.unchecked,
            "not_applicable": explored.not_applicable,
            "remarks": self.remarks,
            "violated_by": schedule,
            "violated": self.findings(),
        })
    }

    fn case(&self, program: &str) -> TestCase {
        let told = |status: &mut TestCaseStatus| {
            status.set_description(coverage::render(&self.explored));
        };
        let status = match self.explored.verdict() {
            Verdict::Valid => TestCaseStatus::success(),
            Verdict::Violation => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                let names = self.findings().into_iter().map(|it| it.name.as_str());
                let names: Vec<_> = names.collect();
                status.set_message(format!("violated: {}", names.join(", ")));
                told(&mut status);
                status
            }
            Verdict::Inconclusive => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_message("not everything could be explored and checked");
                told(&mut status);
                status
            }
        };
        TestCase::new(program, status)
    }
}
