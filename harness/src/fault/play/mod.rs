//! One case, from its rows to its verdict, in stages: each takes what the one before has made.
//!
//! ```text
//! set      puts the rows there, and whatever has come before
//! strike   sends the chosen request, its rival, and breaks the chosen step
//! settle   waits for their answers, and looks at what the fault left
//! recover  asks for something else, until it is served
//! retry    sends the chosen request again, until its outcome is known
//! verify   looks at everything once more, and at the trace
//! ```
//!
//! Recovery comes after the retry where it needs other rows. A case that breaks something while
//! nothing is under way has its own strike (`idle`). Whatever ends the target ends the case.

mod idle;
mod latecomer;
mod recover;
mod retry;
mod rival;
mod settle;
mod strike;
mod survival;
mod verify;

use std::collections::BTreeSet;
use std::time::Instant;

use serde::Serialize;

use self::settle::Settled;
use self::strike::Blow;
use super::Case;
use super::baseline::{Baseline, come_to_rest};
use super::evidence::Evidence;
use super::place::Place;
use super::pool::open_sessions;
use super::stories::{Asked, Look, Operation, Recovery, Stage, Stories};
use crate::environment::EnvironmentError;
use crate::recovery::deadline;
use rowlock_core::finding::Finding;
use rowlock_core::verdict::Verdict;
use rowlock_proxy::SessionId;

/// What a case was, and what came of it.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
pub struct Played<S: Stories> {
    /// The case.
    pub case: Case<S::Name>,
    /// The SQL of the step that broke.
    pub sql: String,
    /// Whether no PostgreSQL raises the case's error there.
    pub impossible: bool,
    /// What the findings compose to.
    pub verdict: Verdict,
    /// Every check after the case.
    pub findings: Vec<Finding>,
    /// What was asked and answered.
    #[serde(skip)]
    pub operations: Vec<Operation<S>>,
    /// What the case means for the next one in the same place.
    #[serde(skip)]
    pub(super) legacy: Legacy,
}

/// What a case leaves to the next one in the same place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Legacy {
    /// Whether the request got as far as the chosen step.
    pub(super) was_reached: bool,
    /// How many connections of the target ended.
    pub(super) cut: usize,
    /// How many connections were seen at work afterwards.
    pub(super) seen: usize,
}

/// What every stage of a case has before it.
pub(super) struct Scene<'a, 'w, S: Stories> {
    place: &'a Place<'w, S>,
    expected: &'a S::Expected,
    case: Case<S::Name>,
    baseline: &'a Baseline,
    /// The request that is broken.
    chosen: S::Request,
    /// The connections that were open when it came.
    open: BTreeSet<SessionId>,
}

/// What has been asked and found so far, from one stage to the next.
struct Course<S: Stories> {
    history: Vec<Asked<S>>,
    findings: Vec<Finding>,
    blow: Blow,
}

/// Plays `case` and judges what it left.
pub(super) async fn play<S: Stories>(
    place: &Place<'_, S>,
    expected: &S::Expected,
    case: Case<S::Name>,
    baseline: &Baseline,
) -> Result<Played<S>, EnvironmentError> {
    place.reset(case.story).await?;
    let (scene, earlier) = Scene::set(place, expected, case, baseline).await?;
    let mut evidence = Evidence::of(place.control());
    let played = match case.step {
        0 => idle::play(&scene, &mut evidence, earlier).await,
        _ => scene.play(&mut evidence, earlier).await,
    };
    match played {
        // Nobody can connect to a target that has ended.
        Err(EnvironmentError::Connect { .. }) if place.exited().is_some() => {
            Ok(scene.conclude(Vec::new(), Vec::new(), Legacy::NONE))
        }
        played => played,
    }
}

impl Legacy {
    /// A case after which the place is not used again.
    const NONE: Legacy = Legacy {
        was_reached: true,
        cut: 0,
        seen: 0,
    };
}

impl<'a, 'w, S: Stories> Scene<'a, 'w, S> {
    /// The scene, and what was asked before the chosen request.
    async fn set(
        place: &'a Place<'w, S>,
        expected: &'a S::Expected,
        case: Case<S::Name>,
        baseline: &'a Baseline,
    ) -> Result<(Self, Vec<Asked<S>>), EnvironmentError> {
        let stories = place.stories();
        let chosen = stories.chosen(place.known(), case.story, &case.to_string());
        let earlier = match stories.has_come_before(case.story) {
            // Which may meet a connection that an earlier case has cut.
            true => {
                let bound = deadline(Instant::now());
                let on_conflict = place.on_conflict();
                let is_final = |it: &Operation<S>| place.stories().is_final(case, on_conflict, it);
                place.until(chosen.clone(), bound, is_final).await
            }
            false => Vec::new(),
        };
        come_to_rest(place).await?;
        let scene = Scene {
            place,
            expected,
            case,
            baseline,
            chosen,
            open: open_sessions(place.control()),
        };
        Ok((scene, earlier))
    }

    /// The stages of a case at a step.
    async fn play(
        &self,
        evidence: &mut Evidence<'_>,
        earlier: Vec<Asked<S>>,
    ) -> Result<Played<S>, EnvironmentError> {
        let struck = strike::strike(self).await?;
        let settled = settle::settle(self, evidence, earlier, struck).await?;
        if self.place.exited().is_some() {
            let Settled { course, .. } = settled;
            return Ok(self.conclude(course.findings, course.history, Legacy::NONE));
        }
        let course = match S::RECOVERY {
            Recovery::Beside => retry::retry(self, recover::recover(self, settled).await).await,
            Recovery::Anew => {
                let mut course = retry::retry(self, settled.course).await;
                let retried = self.look(Stage::Retried, &course.history, evidence).await?;
                verify::merge(&mut course.findings, retried);
                let settled = Settled {
                    course,
                    sells_again: settled.sells_again,
                };
                recover::recover(self, settled).await
            }
        };
        verify::verify(self, evidence, course).await
    }

    /// Every check, as things are now.
    async fn look(
        &self,
        stage: Stage,
        asked: &[Asked<S>],
        evidence: &mut Evidence<'_>,
    ) -> Result<Vec<Finding>, EnvironmentError> {
        let mut aftermath = self.place.inspector().wait_for_rest().await?;
        aftermath.deadlocks = evidence.deadlocks();
        let look = Look {
            rig: self.place.rig(),
            expected: self.expected,
            case: self.case,
            stage,
            asked,
            aftermath,
        };
        self.place.stories().look(look).await
    }

    /// The case with all that was found of it, and whether the target has survived it.
    fn conclude(
        &self,
        mut findings: Vec<Finding>,
        history: Vec<Asked<S>>,
        legacy: Legacy,
    ) -> Played<S> {
        findings.push(survival::judge(self.place.exited()));
        let operations = history.into_iter().map(|asked| asked.operation);
        Played {
            case: self.case,
            sql: idle::sql_of(&self.case, self.baseline),
            impossible: !self.baseline.allows(&self.case),
            verdict: Verdict::compose(findings.iter().filter_map(Finding::verdict)),
            findings,
            operations: operations.collect(),
            legacy,
        }
    }
}
