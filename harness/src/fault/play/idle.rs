//! A connection that lies idle in the target's pool is terminated, while nothing is under way.
//!
//! Failovers and administrators do it, and a driver may tell nobody but an error handler that nobody
//! has set. One request may be lost on it; no more, and not the process.

use std::time::Instant;

use super::recover::recover;
use super::settle::Settled;
use super::strike::Blow;
use super::verify::{judge_fault, merge};
use super::{Course, Legacy, Played, Scene};
use crate::environment::EnvironmentError;
use crate::fault::baseline::{Baseline, come_to_rest};
use crate::fault::evidence::Evidence;
use crate::fault::pool;
use crate::fault::steps::sql;
use crate::fault::stories::{Asked, Operation, Stage, Stories};
use crate::fault::{Case, Fault};
use crate::recovery::deadline;
use rowlock_core::finding::Outcome;
use rowlock_proxy::{SessionId, SessionInfo};

/// What the step of `case` says, if it has one.
pub(super) fn sql_of<T>(case: &Case<T>, baseline: &Baseline) -> String {
    match case.fault {
        Fault::TerminateConnection => "nothing under way".to_owned(),
        _ => baseline.step(case).map(sql).unwrap_or_default(),
    }
}

/// Plays the case, once what came `earlier` is over.
pub(super) async fn play<S: Stories>(
    scene: &Scene<'_, '_, S>,
    evidence: &mut Evidence<'_>,
    earlier: Vec<Asked<S>>,
) -> Result<Played<S>, EnvironmentError> {
    let place = scene.place;
    let mut history = earlier;
    let is_final = |it: &Operation<S>| {
        let stories = place.stories();
        stories.is_final(scene.case, place.on_conflict(), it)
    };
    let bound = deadline(Instant::now());
    history.extend(place.until(scene.chosen.clone(), bound, is_final).await);
    come_to_rest(place).await?;
    let mut fault = judge_fault(None);
    match idle_session(scene, evidence.last_session()) {
        Some(pid) => place.inspector().terminate(pid).await?,
        None => {
            let why = "the target keeps no connection once it has answered";
            fault.outcome = Outcome::NotApplicable(why.to_owned());
        }
    }
    let blow = Blow::between_requests();
    let over = blow.over;
    let findings = scene.look(Stage::Settled, &history, evidence).await?;
    let settled = Settled {
        course: Course {
            history,
            findings,
            blow,
        },
        sells_again: None,
    };
    let Course {
        history,
        mut findings,
        ..
    } = recover(scene, settled).await;
    if place.exited().is_some() {
        return Ok(scene.conclude(findings, history, Legacy::NONE));
    }
    let pool_size = scene.baseline.pool_size;
    findings.push(pool::judge(place, pool_size, deadline(over)).await);
    let after = scene.look(Stage::Over, &history, evidence).await?;
    merge(&mut findings, after);
    findings.push(fault);
    Ok(scene.conclude(findings, history, Legacy::NONE))
}

/// The backend of the session that the target used last, if it is still there; else of any.
fn idle_session<S: Stories>(scene: &Scene<'_, '_, S>, last: Option<SessionId>) -> Option<i32> {
    let sessions = scene.place.control().sessions();
    let is_idle = |session: &&SessionInfo| session.step.is_none();
    let mut idle = sessions.iter().filter(is_idle);
    let used = idle.clone().find(|session| Some(session.id) == last);
    used.or_else(|| idle.next())?.pid
}
