//! Everything is looked at once more: the pool, the rows and answers, and the trace.

use super::strike::STALL_BOUND;
use super::{Course, Legacy, Played, Scene};
use crate::environment::EnvironmentError;
use crate::fault::Fault;
use crate::fault::evidence::{self, Evidence, Missed};
use crate::fault::pool::{self, open_sessions};
use crate::fault::steps::sql;
use crate::recovery::deadline;
use rowlock_core::finding::{Finding, Outcome};
use rowlock_core::verdict::Verdict;

/// Judges the whole case.
pub(super) async fn verify(
    scene: &Scene<'_, '_>,
    evidence: &mut Evidence<'_>,
    course: Course,
) -> Result<Played, EnvironmentError> {
    let Course {
        history,
        mut findings,
        blow,
    } = course;
    let pool_size = scene.baseline.pool_size;
    let deadline = deadline(blow.over);
    let pool = pool::judge(scene.world, scene.control, pool_size, deadline).await;
    let seen = match pool.outcome {
        Outcome::Holds => pool_size.unwrap_or_default(),
        _ => 0,
    };
    findings.push(pool);
    let after = scene.look(&history, evidence).await?;
    merge(&mut findings, after);

    let record = match blow.step {
        Some(step) => evidence.record_of(step).await,
        None => None,
    };
    let untraced = match record {
        Some(record) => evidence::missed(scene.case.fault, record),
        None => Some(Missed::NotEnded),
    };
    let missed = blow.missed.or(untraced);
    let was_reached = missed != Some(Missed::NotReached);
    findings.push(judge_fault(missed));
    if scene.case.fault == Fault::Stall {
        let was_given_up = blow.gave_up || !record.is_some_and(evidence::went_through);
        findings.push(judge_stall(was_given_up));
    }
    Ok(Played {
        case: scene.case,
        sql: scene.baseline.step(scene.case).map(sql).unwrap_or_default(),
        impossible: !scene.baseline.allows(scene.case),
        verdict: Verdict::compose(findings.iter().filter_map(Finding::verdict)),
        findings,
        operations: history,
        legacy: Legacy {
            was_reached,
            cut: scene.open.difference(&open_sessions(scene.control)).count(),
            seen,
        },
    })
}

fn judge_fault(missed: Option<Missed>) -> Finding {
    let mut finding = Finding::new("fault-took-place", "the chosen step was broken", Vec::new());
    if let Some(missed) = missed {
        finding.outcome = Outcome::Unchecked(missed.to_string());
    }
    finding
}

fn judge_stall(was_given_up: bool) -> Finding {
    let statement = "the stalled step was given up before it was let go";
    let mut finding = Finding::new("stall-outlasts-timeouts", statement, Vec::new());
    if !was_given_up {
        let why = format!("nothing times out within {} s", STALL_BOUND.as_secs());
        finding.outcome = Outcome::NotApplicable(why);
    }
    finding
}

/// Adds a later look at the same invariants; what was violated earlier stays so.
fn merge(findings: &mut [Finding], later: Vec<Finding>) {
    for later in later {
        let earlier = findings
            .iter_mut()
            .find(|earlier| earlier.name == later.name);
        if let Some(earlier) = earlier
            && later.verdict() > earlier.verdict()
        {
            *earlier = later;
        }
    }
}
