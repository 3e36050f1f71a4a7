//! Limits of a target's own that our holding of steps has met: such a run proves nothing.

use std::time::Duration;

use rowlock_core::answer::{Answer, Ending};
use rowlock_core::finding::{Finding, Outcome};
use rowlock_explorer::execution::Limit;
use rowlock_explorer::{Execution, LostControl};

/// The name of the check.
const OWN_LIMITS: &str = "own-limits";

/// Beyond what a call takes alone this much is no chance.
const BEYOND: Duration = Duration::from_millis(100);

/// Takes what was found of a run in which a limit was met for not checked. A call takes no longer
/// than `alone` by itself, where that is known.
pub(super) fn excuse(
    findings: &mut Vec<Finding>,
    execution: &Execution,
    history: &[impl Answer],
    alone: Option<Duration>,
) {
    let mut met = execution.limits.iter().filter_map(|limit| {
        let answer = history.get(limit.request().0)?;
        (answer.ending() != Ending::Ok)
            .then(|| name(limit, alone))
            .flatten()
    });
    let given_up = match execution.control.lost() {
        Some(LostControl::GaveUp(request)) => Some(format!(
            "{request} gave up a statement while it waited for a lock"
        )),
        _ => None,
    };
    let Some(why) = met.next().or(given_up) else {
        return;
    };
    let why = format!("the harness held steps longer than the service waits: {why}");
    for finding in findings.iter_mut() {
        if let Outcome::Violated(_) = finding.outcome {
            finding.outcome = Outcome::Unchecked(why.clone());
        }
    }
    let statement = "no limit of the service's own ends a wait that the harness makes";
    let mut finding = Finding::new(OWN_LIMITS, statement, Vec::new());
    finding.outcome = Outcome::Unchecked(why);
    findings.push(finding);
}

/// Which limit was met, if one was.
fn name(limit: &Limit, alone: Option<Duration>) -> Option<String> {
    match limit {
        Limit::GivenUp {
            request,
            sqlstate,
            message,
        } => Some(format!("{request} was told \"{message}\" ({sqlstate})")),
        Limit::Closed(request) => Some(format!("the connection of {request} was closed")),
        Limit::Silent { request, after } => {
            let alone = alone?;
            let long = alone * 2 + BEYOND;
            // To the nearest tenth of a second, which two runs share.
            let told = (after.as_millis() + 50) / 100;
            (*after >= long).then(|| {
                format!(
                    "{request} gave up after {}.{} s without a step",
                    told / 10,
                    told % 10
                )
            })
        }
    }
}
