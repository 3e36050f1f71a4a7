//! Which cases there are, and who runs them: a few worlds side by side, since most of a case is
//! waiting.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::future::try_join_all;
use futures::try_join;
use rowlock_core::verdict::Verdict;
use serde::Serialize;

use super::baseline::{Baseline, trace_steps};
use super::place::Place;
use super::play::{Legacy, Played, play};
use super::raisable::Surroundings;
use super::steps::sql;
use super::stories::Stories;
use super::{Case, Fault, pool};
use crate::environment::EnvironmentError;
use crate::setting::Setting;
use crate::trace::Phase;
use rowlock_proxy::isolation::{Level, level_of_step};

/// Worlds side by side, as many again for stalls. A crash takes the server from all of them, so
/// crashes have one.
const WORKERS: usize = 3;

/// What `rowlock faults` does.
#[derive(Debug, Clone)]
pub struct Plan<T> {
    /// The faults; every one of them at every step.
    pub faults: Vec<Fault>,
    /// Where not empty: these stories only.
    pub stories: Vec<T>,
    /// Where not empty: these cases only.
    pub only: Vec<Case<T>>,
    /// Whether to end with the first violation, and leave out what has not begun by then.
    pub until_violation: bool,
    /// Whether to inject errors where PostgreSQL cannot raise them, too.
    pub impossible: bool,
}

impl<T> Default for Plan<T> {
    fn default() -> Self {
        Plan {
            faults: Vec::new(),
            stories: Vec::new(),
            only: Vec::new(),
            until_violation: false,
            impossible: false,
        }
    }
}

/// What came of all cases.
#[derive(Debug, Clone, Serialize)]
#[serde(bound = "")]
pub struct Campaign<S: Stories> {
    /// The SQL of each story's steps, in order, as the target's own trace shows it.
    pub steps: BTreeMap<String, Vec<String>>,
    /// What each story is, alone and with a rival.
    #[serde(skip)]
    pub titles: BTreeMap<(S::Name, bool), String>,
    /// Every case, in order.
    pub played: Vec<Played<S>>,
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

/// Runs `plan` on the stories of a subject. Findings of the target are verdicts; an error is the
/// environment's.
///
/// # Errors
/// [`EnvironmentError`].
pub async fn run<S: Stories>(
    setting: &Setting<'_>,
    stories: &S,
    plan: &Plan<S::Name>,
) -> Result<Campaign<S>, EnvironmentError> {
    setting.progress.say("faults: tracing the target's steps");
    let measured = measure(setting, stories, &plan.stories).await?;
    let can_restart = setting.server.can_restart();
    let left_out = left_out(plan, &measured, can_restart);
    let (cases, impossible) = cases(stories, plan, &measured.baselines, can_restart);
    let (crashes, gentle): (Vec<_>, Vec<_>) =
        cases.into_iter().partition(|case| case.fault.is_crash());
    let (stalls, others): (Vec<_>, Vec<_>) = gentle
        .into_iter()
        .partition(|case| case.fault == Fault::Stall);
    let common = Common {
        stories,
        measured: &measured,
        until_violation: plan.until_violation,
        is_over: AtomicBool::new(false),
    };
    let mut played = match setting.target.may_run_twice() {
        true => {
            let (mut played, others) = try_join!(
                play_all(setting, &common, &stalls, WORKERS),
                play_all(setting, &common, &others, WORKERS)
            )?;
            played.extend(others);
            played
        }
        false => {
            let mut played = play_all(setting, &common, &stalls, 1).await?;
            played.extend(play_all(setting, &common, &others, 1).await?);
            played
        }
    };
    played.extend(play_all(setting, &common, &crashes, 1).await?);
    played.sort_by_key(|played| played.case);
    let verdict = Verdict::compose(played.iter().map(|played| played.verdict));
    let titles = measured.baselines.keys();
    let titles = titles.flat_map(|name| {
        let rivals = [false, true].into_iter();
        let rivals = rivals.filter(|rival| !rival || stories.rival(*name).is_some());
        rivals.map(|rival| (*name, rival))
    });
    let titles = titles.map(|key| (key, stories.title(key.0, key.1)));
    let steps = measured.baselines.iter();
    let steps = steps.map(|(story, baseline)| {
        let steps = baseline.steps.iter().map(sql).collect();
        (story.to_string(), steps)
    });
    Ok(Campaign {
        level: measured.level,
        impossible,
        titles: titles.collect(),
        steps: steps.collect(),
        played,
        left_out,
        verdict,
    })
}

type Baselines<S> = BTreeMap<<S as Stories>::Name, Baseline>;

/// What is found out before anything is broken.
struct Measured<S: Stories> {
    expected: S::Expected,
    baselines: Baselines<S>,
    /// The strictest isolation level at which the target does it.
    level: Level,
    /// The stories that cannot be asked of it.
    left_out: Vec<String>,
}

/// What all places of a campaign share.
struct Common<'a, S: Stories> {
    stories: &'a S,
    measured: &'a Measured<S>,
    until_violation: bool,
    /// Whether no further case is to begin.
    is_over: AtomicBool,
}

/// What the target does when nothing is broken, in every story that applies to it, or in `only` those.
async fn measure<S: Stories>(
    setting: &Setting<'_>,
    stories: &S,
    only: &[S::Name],
) -> Result<Measured<S>, EnvironmentError> {
    let setting = Setting {
        target_env: target_env(Fault::DropBefore),
        ..setting.clone()
    };
    let place = Place::open(&setting, stories).await?;
    place.enter(|| Phase::Baseline);
    let expected = stories.expect(place.rig()).await?;
    let pool_size = pool::measure(&place).await?;
    let mut traced = Vec::new();
    let mut names = stories.names(place.known());
    names.retain(|name| only.is_empty() || only.contains(name));
    for story in names {
        traced.push((story, trace_steps(&place, story).await?));
    }
    let said = traced.iter().flat_map(|(_, (steps, _))| steps);
    let said = said.map(level_of_step).max().into_iter();
    let isolation = place.rig().isolation();
    let said = said.chain(isolation.map(|isolation| isolation.strictest()));
    let said = said.max().unwrap_or(Level::Unknown);
    let surroundings = Surroundings::look_up(place.inspector(), said).await?;
    let left_out = stories.left_out(place.known());
    place.abandon().await?;
    let traced = traced.into_iter();
    let baselines = traced.map(|(story, (steps, sporadic))| {
        let baseline = Baseline {
            steps,
            sporadic,
            pool_size,
            surroundings,
        };
        (story, baseline)
    });
    Ok(Measured {
        expected,
        baselines: baselines.collect(),
        level: surroundings.level,
        left_out,
    })
}

type Impossible = BTreeMap<String, BTreeMap<String, Vec<usize>>>;

/// The cases of `plan`, and what was left out of it as impossible.
fn cases<S: Stories>(
    stories: &S,
    plan: &Plan<S::Name>,
    baselines: &Baselines<S>,
    can_restart: bool,
) -> (Vec<Case<S::Name>>, Impossible) {
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
        if fault == Fault::TerminateConnection {
            let first = baselines.keys().next();
            cases.extend(first.map(|story| Case {
                story: *story,
                rival: false,
                step: 0,
                fault,
            }));
            continue;
        }
        for (story, baseline) in baselines {
            let rivals = match stories.rival(*story) {
                Some(_) => &[false, true][..],
                None => &[false],
            };
            for step in 1..=baseline.steps.len() {
                let case = |rival: &bool| Case {
                    story: *story,
                    rival: *rival,
                    step,
                    fault,
                };
                if plan.impossible || baseline.allows(&case(&false)) {
                    cases.extend(rivals.iter().map(case));
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
fn left_out<S: Stories>(
    plan: &Plan<S::Name>,
    measured: &Measured<S>,
    can_restart: bool,
) -> Vec<String> {
    if !plan.only.is_empty() {
        return Vec::new();
    }
    let mut left_out = measured.left_out.clone();
    for (story, baseline) in &measured.baselines {
        let sporadic = baseline.sporadic.values();
        left_out.extend(sporadic.map(|sql| {
            let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("a step of {story} that comes only now and then: {sql}")
        }));
    }
    if !can_restart && plan.faults.iter().any(|fault| fault.is_crash()) {
        let why = "this server is not the harness's own to kill";
        left_out.push(format!("crash-before, crash-after: {why}"));
    }
    left_out
}

/// Plays `cases`, whose faults need the same environment, in `workers` places.
async fn play_all<S: Stories>(
    setting: &Setting<'_>,
    common: &Common<'_, S>,
    cases: &[Case<S::Name>],
    workers: usize,
) -> Result<Vec<Played<S>>, EnvironmentError> {
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

/// One place's share of the cases. After a case that is not valid the place is not trusted any
/// more, and another takes its place.
async fn work<S: Stories>(
    setting: &Setting<'_>,
    common: &Common<'_, S>,
    cases: &[Case<S::Name>],
    next: &AtomicUsize,
) -> Result<Vec<Played<S>>, EnvironmentError> {
    let mut place = Place::open(setting, common.stories).await?;
    let mut all = Vec::new();
    while !common.is_over.load(Ordering::Relaxed) {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(case) = cases.get(index) else { break };
        setting
            .progress
            .say(format!("faults: {} of {}: {case}", index + 1, cases.len()));
        place.enter(|| Phase::Case {
            case: case.to_string(),
        });
        let played = play_until_reached(&mut place, common.measured, *case).await?;
        let is_valid = played.verdict == Verdict::Valid;
        if common.until_violation && played.verdict == Verdict::Violation {
            common.is_over.store(true, Ordering::Relaxed);
        }
        all.push(played);
        if !is_valid {
            place.abandon().await?;
            place = Place::open(setting, common.stories).await?;
        }
    }
    place.abandon().await?;
    Ok(all)
}

/// Plays `case` until its step is reached: a request that meets a stale connection ends before,
/// and says nothing of the case. Each such request uses one of them up.
async fn play_until_reached<S: Stories>(
    place: &mut Place<'_, S>,
    measured: &Measured<S>,
    case: Case<S::Name>,
) -> Result<Played<S>, EnvironmentError> {
    let unknown = Baseline::UNKNOWN;
    let baseline = measured.baselines.get(&case.story).unwrap_or(&unknown);
    loop {
        let played = play(place, &measured.expected, case, baseline).await?;
        let Legacy {
            was_reached,
            cut,
            seen,
        } = played.legacy;
        let met_a_stale_one = !was_reached && place.stale > 0;
        place.stale = match was_reached {
            true => (place.stale + cut).saturating_sub(seen),
            false => place.stale.saturating_sub(1),
        };
        if !met_a_stale_one || played.verdict == Verdict::Violation {
            return Ok(played);
        }
    }
}
