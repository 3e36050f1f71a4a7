//! Everything is looked at once more: the pool, the rows and answers, and the trace.

use super::strike::STALL_BOUND;
use super::{Course, Legacy, Played, Scene};
use crate::environment::EnvironmentError;
use crate::fault::Fault;
use crate::fault::evidence::{self, Evidence, Missed};
use crate::fault::pool::{self, open_sessions};
use crate::fault::stories::{Stage, Stories};
use crate::recovery::deadline;
use rowlock_core::finding::{Finding, Outcome};

/// Judges the whole case.
pub(super) async fn verify<S: Stories>(
    scene: &Scene<'_, '_, S>,
    evidence: &mut Evidence<'_>,
    course: Course<S>,
) -> Result<Played<S>, EnvironmentError> {
    let Course {
        history,
        mut findings,
        blow,
    } = course;
    let pool_size = scene.baseline.pool_size;
    let deadline = deadline(blow.over);
    let pool = pool::judge(scene.place, pool_size, deadline).await;
    let seen = match pool.outcome {
        Outcome::Holds => pool_size.unwrap_or_default(),
        _ => 0,
    };
    findings.push(pool);
    let after = scene.look(Stage::Over, &history, evidence).await?;
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
    let open = open_sessions(scene.place.control());
    let legacy = Legacy {
        was_reached,
        cut: scene.open.difference(&open).count(),
        seen,
    };
    Ok(scene.conclude(findings, history, legacy))
}

pub(super) fn judge_fault(missed: Option<Missed>) -> Finding {
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
pub(super) fn merge(findings: &mut [Finding], later: Vec<Finding>) {
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
