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

mod recover;
mod retry;
mod sale;
mod settle;
mod strike;
mod verify;

use std::collections::BTreeSet;
use std::time::Instant;

use serde::Serialize;

use self::strike::Blow;
use super::baseline::{Baseline, come_to_rest};
use super::evidence::Evidence;
use super::pool::open_sessions;
use super::{Case, shop};
use crate::environment::EnvironmentError;
use crate::recovery::{deadline, until};
use crate::world::World;
use rowlock_core::finding::Finding;
use rowlock_core::verdict::Verdict;
use rowlock_proxy::{Control, SessionId};
use rowlock_shop::history::{Operation, Request};
use rowlock_shop::judgement::judge;

/// What a case was, and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Played {
    /// The case.
    pub case: Case,
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
    pub operations: Vec<Operation>,
    /// What the case means for the next one in the same world.
    #[serde(skip)]
    pub(super) legacy: Legacy,
}

/// What a case leaves to the next one in the same world.
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
pub(super) struct Scene<'a, 'w> {
    world: &'a World<'w>,
    control: &'a Control,
    case: Case,
    baseline: &'a Baseline,
    /// The request that is broken.
    chosen: Request,
    /// The connections that were open when it came.
    open: BTreeSet<SessionId>,
}

/// What has been asked and found so far, from one stage to the next.
struct Course {
    history: Vec<Operation>,
    findings: Vec<Finding>,
    blow: Blow,
}

/// Plays `case` and judges what it left.
pub(super) async fn play(
    world: &mut World<'_>,
    control: &Control,
    case: Case,
    baseline: &Baseline,
) -> Result<Played, EnvironmentError> {
    world.reset(shop::rows(case.story)).await?;
    let (scene, earlier) = Scene::set(world, control, case, baseline).await?;
    let mut evidence = Evidence::of(control);
    let struck = strike::strike(&scene).await?;
    let settled = settle::settle(&scene, &mut evidence, earlier, struck).await?;
    let recovered = recover::recover(&scene, settled).await;
    let retried = retry::retry(&scene, recovered).await;
    verify::verify(&scene, &mut evidence, retried).await
}

impl<'a, 'w> Scene<'a, 'w> {
    /// The scene, and what was asked before the chosen request.
    async fn set(
        world: &'a World<'w>,
        control: &'a Control,
        case: Case,
        baseline: &'a Baseline,
    ) -> Result<(Self, Vec<Operation>), EnvironmentError> {
        // Under a key that no other case has.
        let chosen = shop::chosen(world.capabilities(), &case.to_string());
        let earlier = match shop::has_come_before(case.story) {
            // Which may meet a connection that an earlier case has cut.
            true => {
                let bound = deadline(Instant::now());
                let on_conflict = world.on_conflict();
                let is_final = |it: &Operation| shop::is_final(case.story, on_conflict, it);
                until(world, chosen.clone(), bound, is_final).await
            }
            false => Vec::new(),
        };
        come_to_rest(world, control).await?;
        let scene = Scene {
            world,
            control,
            case,
            baseline,
            chosen,
            open: open_sessions(control),
        };
        Ok((scene, earlier))
    }

    /// Every invariant, as things are now.
    async fn look(
        &self,
        history: &[Operation],
        evidence: &mut Evidence<'_>,
    ) -> Result<Vec<Finding>, EnvironmentError> {
        let mut gathered = self.world.gather(history.to_vec(), true).await?;
        gathered.aftermath.deadlocks = evidence.deadlocks();
        Ok(judge(&gathered))
    }
}
