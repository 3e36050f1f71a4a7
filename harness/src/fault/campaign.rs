//! Which cases there are, and who runs them: a few worlds side by side, since most of a case is
//! waiting.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::future::try_join_all;
use futures::try_join;
use rowlock_core::verdict::Verdict;
use rowlock_proxy::Control;
use rowlock_shop::rows::Shop;
use serde::Serialize;

use super::baseline::{Baseline, trace_steps};
use super::play::{Legacy, Played, play};
use super::raisable::Surroundings;
use super::steps::sql;
use super::{Case, Fault, Story, pool, shop};
use crate::environment::EnvironmentError;
use crate::trace::Phase;
use crate::world::{Setting, World};
use rowlock_proxy::isolation::{Level, level_of_step};

/// Worlds side by side, as many again for stalls. A crash takes the server from all of them, so
/// crashes have one.
const WORKERS: usize = 3;

/// What `rowlock faults` does.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The faults; every one of them at every step.
    pub faults: Vec<Fault>,
    /// Where not empty: these cases only.
    pub only: Vec<Case>,
    /// Whether to end with the first violation, and leave out what has not begun by then.
    pub until_violation: bool,
    /// Whether to inject errors where PostgreSQL cannot raise them, too.
    pub impossible: bool,
}

/// What came of all cases.
#[derive(Debug, Clone, Serialize)]
pub struct Campaign {
    /// The SQL of each story's steps, in order, as the target's own trace shows it.
    pub steps: BTreeMap<String, Vec<String>>,
    /// Every case, in order.
    pub played: Vec<Played>,
    /// The strictest isolation level that the target's transactions may have.
    pub level: Level,
    /// The errors that were not injected, since PostgreSQL cannot raise them there: by fault, the
    /// steps of each story.
    pub impossible: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
    /// What a whole campaign would cover and this one does not, and why.
    pub left_out: Vec<String>,
    /// The worst of the cases.
    pub verdict: Verdict,
}

/// What the target is given beside `DATABASE_URL` and `PORT`. Ours heeds it all; another may.
///
/// The pool is small enough to be counted. A stall needs timeouts that are short enough to be
/// outlasted; every other fault needs them longer than the time in which the target must be at
/// rest, lest a timeout clears away what the target itself has left.
fn target_env(fault: Fault) -> Vec<(String, String)> {
    let timeouts = match fault {
        Fault::Stall => [
            ("IDLE_IN_TRANSACTION", "500"),
            ("STATEMENT", "500"),
            ("TRANSACTION", "1000"),
        ],
        _ => [
            ("IDLE_IN_TRANSACTION", "30000"),
            ("STATEMENT", "30000"),
            ("TRANSACTION", "30000"),
        ],
    };
    let timeouts = timeouts.map(|(name, ms)| (format!("{name}_TIMEOUT_MS"), ms.to_owned()));
    timeouts
        .into_iter()
        .chain([("POOL_SIZE".to_owned(), "4".to_owned())])
        .collect()
}

/// Runs `plan`. Findings of the target are verdicts; an error is the environment's.
///
/// # Errors
/// [`EnvironmentError`].
pub async fn run(setting: &Setting<'_>, plan: &Plan) -> Result<Campaign, EnvironmentError> {
    setting.progress.say("faults: tracing the target's steps");
    let (baselines, level) = measure(setting).await?;
    let can_restart = setting.server.can_restart();
    let left_out = left_out(plan, &baselines, can_restart);
    let (cases, impossible) = cases(plan, &baselines, can_restart);
    let (crashes, gentle): (Vec<_>, Vec<_>) =
        cases.into_iter().partition(|case| case.fault.is_crash());
    let (stalls, others): (Vec<_>, Vec<_>) = gentle
        .into_iter()
        .partition(|case| case.fault == Fault::Stall);
    let common = Common {
        baselines: &baselines,
        until_violation: plan.until_violation,
        is_over: AtomicBool::new(false),
    };
    let (mut played, others) = try_join!(
        play_all(setting, &common, &stalls, WORKERS),
        play_all(setting, &common, &others, WORKERS)
    )?;
    played.extend(others);
    played.extend(play_all(setting, &common, &crashes, 1).await?);
    played.sort_by_key(|played| played.case);
    let verdict = Verdict::compose(played.iter().map(|played| played.verdict));
    let steps = baselines
        .into_iter()
        .map(|(story, baseline)| (story.to_string(), baseline.steps.iter().map(sql).collect()));
    Ok(Campaign {
        level,
        impossible,
        steps: steps.collect(),
        played,
        left_out,
        verdict,
    })
}

type Baselines = BTreeMap<Story, Baseline>;

/// What all worlds of a campaign share.
struct Common<'a> {
    baselines: &'a Baselines,
    until_violation: bool,
    /// Whether no further case is to begin.
    is_over: AtomicBool,
}

/// What the target does when nothing is broken, in every story that applies to it, and the
/// strictest isolation level at which it does so.
async fn measure(setting: &Setting<'_>) -> Result<(Baselines, Level), EnvironmentError> {
    let setting = Setting {
        target_env: target_env(Fault::DropBefore),
        ..setting.clone()
    };
    let mut world = World::open_proxied(&setting, Shop::default()).await?;
    world.enter(|| Phase::Baseline);
    let control = control(&world);
    let pool_size = pool::measure(&world, &control).await?;
    let mut traced = Vec::new();
    for story in [Story::Purchase, Story::Refusal, Story::Repeat] {
        if shop::applies(story, world.capabilities()) {
            traced.push((story, trace_steps(&mut world, &control, story).await?));
        }
    }
    let said = traced.iter().flat_map(|(_, steps)| steps);
    let said = said.map(level_of_step).max().into_iter();
    let said = said.chain(world.isolation_level()).max();
    let surroundings = Surroundings::look_up(&world, said.unwrap_or(Level::Unknown)).await?;
    world.abandon().await?;
    let baseline = |steps| Baseline {
        steps,
        pool_size,
        surroundings,
    };
    let traced = traced.into_iter();
    let baselines = traced.map(|(story, steps)| (story, baseline(steps)));
    Ok((baselines.collect(), surroundings.level))
}

fn control(world: &World<'_>) -> Control {
    world
        .proxy()
        .expect("the worlds of faults have a proxy")
        .clone()
}

type Impossible = BTreeMap<String, BTreeMap<String, Vec<usize>>>;

/// The cases of `plan`, and what was left out of it as impossible.
fn cases(plan: &Plan, baselines: &Baselines, can_restart: bool) -> (Vec<Case>, Impossible) {
    let mut impossible = Impossible::new();
    if !plan.only.is_empty() {
        return (plan.only.clone(), impossible);
    }
    let faults = plan
        .faults
        .iter()
        .filter(|fault| can_restart || !fault.is_crash());
    let mut cases = Vec::new();
    for fault in faults.copied() {
        for (story, baseline) in baselines {
            for step in 1..=baseline.steps.len() {
                let case = |rival| Case {
                    story: *story,
                    rival,
                    step,
                    fault,
                };
                if plan.impossible || baseline.allows(case(false)) {
                    cases.extend([false, true].map(case));
                } else {
                    let of_fault = impossible.entry(fault.to_string()).or_default();
                    of_fault.entry(story.to_string()).or_default().push(step);
                }
            }
        }
    }
    (cases, impossible)
}

/// What of a whole campaign cannot be asked of this target and this server.
fn left_out(plan: &Plan, baselines: &Baselines, can_restart: bool) -> Vec<String> {
    let mut left_out = Vec::new();
    if !plan.only.is_empty() {
        return left_out;
    }
    if !baselines.contains_key(&Story::Repeat) {
        left_out.push(format!("{}: {}", Story::Repeat, shop::NO_KEYS));
    }
    if !can_restart && plan.faults.iter().any(|fault| fault.is_crash()) {
        let why = "this server is not the harness's own to kill";
        left_out.push(format!("crash-before, crash-after: {why}"));
    }
    left_out
}

/// Plays `cases`, whose faults need the same environment, in `workers` worlds.
async fn play_all(
    setting: &Setting<'_>,
    common: &Common<'_>,
    cases: &[Case],
    workers: usize,
) -> Result<Vec<Played>, EnvironmentError> {
    let Some(first) = cases.first() else {
        return Ok(Vec::new());
    };
    let setting = Setting {
        target_env: target_env(first.fault),
        ..setting.clone()
    };
    let next = AtomicUsize::new(0);
    let work = (0..workers.min(cases.len())).map(|_| work(&setting, common, cases, &next));
    Ok(try_join_all(work).await?.concat())
}

/// One world's share of the cases. After a case that is not valid the world is not trusted any
/// more, and another takes its place.
async fn work(
    setting: &Setting<'_>,
    common: &Common<'_>,
    cases: &[Case],
    next: &AtomicUsize,
) -> Result<Vec<Played>, EnvironmentError> {
    let mut place = Place::open(setting).await?;
    let mut all = Vec::new();
    while !common.is_over.load(Ordering::Relaxed) {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(case) = cases.get(index) else { break };
        setting
            .progress
            .say(format!("faults: {} of {}: {case}", index + 1, cases.len()));
        place.world.enter(|| Phase::Case {
            case: case.to_string(),
        });
        let baseline = common.baselines.get(&case.story);
        let played = place
            .play(*case, baseline.unwrap_or(&Baseline::UNKNOWN))
            .await?;
        let is_valid = played.verdict == Verdict::Valid;
        if common.until_violation && played.verdict == Verdict::Violation {
            common.is_over.store(true, Ordering::Relaxed);
        }
        all.push(played);
        if !is_valid {
            place.world.abandon().await?;
            place = Place::open(setting).await?;
        }
    }
    place.world.abandon().await?;
    Ok(all)
}

/// A world in which one case after another is played.
struct Place<'a> {
    world: World<'a>,
    control: Control,
    /// Connections that earlier cases have cut, and of which the target may not know it yet: a
    /// pool that is not looked through whole may give one to a later request.
    stale: usize,
}

impl<'a> Place<'a> {
    async fn open(setting: &Setting<'a>) -> Result<Self, EnvironmentError> {
        let world = World::open_proxied(setting, Shop::default()).await?;
        let control = control(&world);
        Ok(Place {
            world,
            control,
            stale: 0,
        })
    }

    /// Plays `case` until its step is reached: a request that meets a stale connection ends
    /// before, and says nothing of the case. Each such request uses one of them up.
    async fn play(&mut self, case: Case, baseline: &Baseline) -> Result<Played, EnvironmentError> {
        loop {
            let played = play(&mut self.world, &self.control, case, baseline).await?;
            let Legacy {
                was_reached,
                cut,
                seen,
            } = played.legacy;
            let met_a_stale_one = !was_reached && self.stale > 0;
            self.stale = match was_reached {
                true => (self.stale + cut).saturating_sub(seen),
                false => self.stale.saturating_sub(1),
            };
            if !met_a_stale_one || played.verdict == Verdict::Violation {
                return Ok(played);
            }
        }
    }
}
