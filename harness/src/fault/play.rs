//! One case, from its rows to its verdict.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{FutureExt, join_all};
use rowlock_core::finding::{Finding, Outcome};
use rowlock_core::verdict::Verdict;
use rowlock_proxy::gate::{Event, channel};
use rowlock_proxy::{Control, Recording, SessionId, SessionInfo, Step};
use rowlock_shop::history::{Completion, Operation, Refusal, Request};
use rowlock_shop::judgement::judge;
use rowlock_shop::rows::Shop;
use serde::Serialize;
use tokio::time::timeout;

use super::evidence::{self, Evidence};
use super::raisable::{Surroundings, can_come};
use super::strike::{STALL_BOUND, Strike, Struck, sql};
use super::{Case, Fault, Story};
use crate::crowd;
use crate::database::REST_BOUND;
use crate::environment::EnvironmentError;
use crate::recovery::{deadline, sell_again, until};
use crate::world::World;

const PRICE: i64 = 100;
const BALANCE: i64 = 1_000;

/// What the chosen request and its rival buy.
const ITEM: i64 = 1;
/// What is bought to see whether the target sells again.
const OTHER_ITEM: i64 = 2;
/// An item that does not exist, for requests that change nothing.
const NO_ITEM: i64 = 999;

const VICTIM: i64 = 1;
const RIVAL: i64 = 2;
const LATECOMER: i64 = 3;

/// How long the requests of a case may keep others waiting until it is looked whether the target
/// serves anybody at all; the bound on that is [`recovery`](crate::recovery)'s.
const ANSWER_BOUND: Duration = Duration::from_millis(2_500);

/// How long one look waits for the next connection to show.
const POOL_PATIENCE: Duration = Duration::from_millis(300);

/// How long it is waited for the connections of a target that is never idle.
const HELD_BOUND: Duration = Duration::from_secs(5);

/// How often a condition is asked for while it is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// A target whose pool is larger is not measured.
const LARGEST_POOL: usize = 32;

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
}

/// What a target does when nothing is broken.
#[derive(Debug, Clone)]
pub(super) struct Baseline {
    /// Its steps, in order.
    pub(super) steps: Vec<Step>,
    /// How many requests hold a connection at once; none where that is not measured.
    pub(super) pool_size: Option<usize>,
    /// What decides beside them which errors can come.
    pub(super) surroundings: Surroundings,
}

impl Baseline {
    /// The step that `case` breaks, if it was seen.
    pub(super) fn step(&self, case: Case) -> Option<&Step> {
        self.steps.get(case.step.checked_sub(1)?)
    }

    /// Whether PostgreSQL can do what `case` says; a step that was not seen may be any.
    pub(super) fn allows(&self, case: Case) -> bool {
        let step = self.step(case);
        match (case.fault, step) {
            (Fault::Error(state), Some(step)) => can_come(state, step, self.surroundings),
            _ => true,
        }
    }
}

fn rows(story: Story) -> Shop {
    let stock = if story == Story::Refusal { 0 } else { 5 };
    [VICTIM, RIVAL, LATECOMER].into_iter().fold(
        Shop::default()
            .item(ITEM, PRICE, stock)
            .item(OTHER_ITEM, PRICE, 100),
        |shop, user_id| shop.wallet(user_id, BALANCE),
    )
}

/// The chosen request, under a key that no other case has, where the target knows keys.
fn victim(world: &World<'_>, name: &str) -> Request {
    let request = Request::new(VICTIM, ITEM);
    match world.capabilities().idempotency_keys {
        true => request.with_key(name),
        false => request,
    }
}

/// Sends one request alone and waits for its answer.
async fn buy(world: &World<'_>, request: Request) -> Result<Vec<Operation>, EnvironmentError> {
    let clients = world.connect_all(1).await?;
    Ok(crowd::release(clients, vec![request], world.clock()).await)
}

/// Traces the story's request with nothing broken: its steps, in order.
pub(super) async fn trace_steps(
    world: &mut World<'_>,
    control: &Control,
    story: Story,
    round: usize,
) -> Result<Vec<Step>, EnvironmentError> {
    world.reset(rows(story)).await?;
    let request = victim(world, &format!("trace-{story}-{round}"));
    if story == Story::Repeat {
        buy(world, request.clone()).await?;
    }
    let recording = Recording::new();
    control.set_trace(Some(recording.clone()));
    buy(world, request).await?;
    // What a target still does once it has answered belongs to the request too.
    world.inspector().wait_for_rest().await?;
    wait_for_replies(control).await;
    control.set_trace(None);
    let steps = recording.take().into_iter().map(|record| record.step);
    Ok(steps.filter(|step| step.kind.runs()).collect())
}

/// Waits until the proxy has every reply that the server has given, for [`REST_BOUND`] at most.
async fn wait_for_replies(control: &Control) {
    let deadline = Instant::now() + REST_BOUND;
    let awaits_reply = |session: &SessionInfo| session.step.is_some();
    while control.sessions().iter().any(awaits_reply) && Instant::now() < deadline {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Counts the connections that requests can hold at once, with nothing broken.
pub(super) async fn measure_pool(
    world: &World<'_>,
    control: &Control,
) -> Result<Option<usize>, EnvironmentError> {
    /// A pool that opens no further connection for so long has reached its size.
    const QUIET: Duration = Duration::from_millis(300);
    /// A size that was found so often is the pool's, and no accident of which worker accepted.
    const LOOKS: usize = 4;
    let mut sizes = BTreeSet::new();
    for _ in 0..LOOKS {
        sizes.insert(
            held_connections(world, control, LARGEST_POOL, QUIET)
                .await?
                .len(),
        );
    }
    let steady = sizes.len() == 1;
    let size = sizes
        .into_iter()
        .find(|size| (1..LARGEST_POOL).contains(size));
    Ok(size.filter(|_| steady))
}

/// Lets more requests come at once than a pool has connections, and holds the first step of each:
/// the connections that hold a step, once they are `enough`, or none has come for `patience` from
/// a target that has nothing to do. Many requests, since replicas and workers do not share them
/// evenly.
async fn held_connections(
    world: &World<'_>,
    control: &Control,
    enough: usize,
    patience: Duration,
) -> Result<BTreeSet<SessionId>, EnvironmentError> {
    let clients = world.connect_all(LARGEST_POOL).await?;
    let (gate, mut events) = channel(|step| step.kind.runs());
    control.set_gate(Some(Arc::new(gate)));
    let refused = vec![Request::new(LATECOMER, NO_ITEM); LARGEST_POOL];
    let answers = tokio::spawn(crowd::release(clients, refused, world.clock()));
    let is_busy = world.activity();
    let deadline = Instant::now() + HELD_BOUND;
    let mut sessions = BTreeSet::new();
    while sessions.len() < enough {
        match timeout(patience, events.recv()).await {
            Ok(Some(Event::Request(step))) => drop(sessions.insert(step.id.session)),
            Ok(Some(_)) => {}
            Err(_) if is_busy() && Instant::now() < deadline => {}
            Ok(None) | Err(_) => break,
        }
    }
    drop(events);
    control.set_gate(None);
    // Their answers say nothing here; they are waited for so that nothing is under way after.
    let _ = answers.await;
    Ok(sessions)
}

/// Plays `case` and judges what it left.
pub(super) async fn play(
    world: &mut World<'_>,
    control: &Control,
    case: Case,
    baseline: &Baseline,
) -> Result<Played, EnvironmentError> {
    world.reset(rows(case.story)).await?;
    let victim = victim(world, &case.to_string());
    let expected_sql = baseline.step(case).map(sql).unwrap_or_default();
    let mut history = match case.story {
        Story::Repeat => buy(world, victim.clone()).await?,
        Story::Purchase | Story::Refusal => Vec::new(),
    };
    let strike = Strike {
        world,
        control,
        case,
        expected_sql: &expected_sql,
        victim: victim.clone(),
        rival: Request::new(RIVAL, ITEM),
    };
    let mut evidence = Evidence::of(control);
    let Struck {
        requests,
        step,
        missed,
        gave_up,
        over,
    } = strike.run().await?;
    let answers = join_all(requests).shared();
    let in_time = timeout(ANSWER_BOUND, answers.clone()).await.is_ok();

    // Before anybody comes again: a retry could mend, or hide, what the fault left.
    let mut findings = Vec::new();
    if in_time {
        history.extend(answers.clone().await);
        findings = look(world, &history, &mut evidence).await?;
    }
    let request = Request::new(LATECOMER, OTHER_ITEM);
    let (sold, operations) = sell_again(world, request, deadline(over)).await;
    if !in_time {
        history.extend(answers.await);
        findings = look(world, &history, &mut evidence).await?;
    }
    history.extend(operations);
    findings.push(sold);
    let retries = retry(world, case, victim, deadline(over)).await;
    findings.push(judge_retry(case, retries.as_deref()));
    history.extend(retries.into_iter().flatten());
    findings.push(judge_pool(world, control, baseline.pool_size, deadline(over)).await);
    let after = look(world, &history, &mut evidence).await?;
    merge(&mut findings, after);
    let record = match step {
        Some(step) => evidence.record_of(step).await,
        None => None,
    };
    let unseen = || Some("the step has not ended".to_owned());
    let untraced = record.map_or_else(unseen, |record| evidence::missed(case.fault, record));
    findings.push(judge_fault(missed.or(untraced)));
    if case.fault == Fault::Stall {
        findings.push(judge_stall(
            gave_up || !record.is_some_and(evidence::went_through),
        ));
    }

    let verdict = Verdict::compose(findings.iter().filter_map(Finding::verdict));
    Ok(Played {
        case,
        sql: expected_sql,
        impossible: !baseline.allows(case),
        verdict,
        findings,
        operations: history,
    })
}

/// Every invariant, as things are now.
async fn look(
    world: &World<'_>,
    history: &[Operation],
    evidence: &mut Evidence<'_>,
) -> Result<Vec<Finding>, EnvironmentError> {
    let mut gathered = world.gather(history.to_vec(), true).await?;
    gathered.aftermath.deadlocks = evidence.deadlocks();
    Ok(judge(&gathered))
}

/// The same request under the same key again, where the target knows keys, until its outcome is
/// known.
async fn retry(
    world: &World<'_>,
    case: Case,
    request: Request,
    deadline: Instant,
) -> Option<Vec<Operation>> {
    if request.key.is_none() && case.story != Story::Refusal {
        return None;
    }
    let is_known = |operation: &Operation| match &operation.completion {
        Completion::Ok(_) => true,
        Completion::Fail(refusal) => *refusal != Refusal::Busy,
        Completion::Info(_) => false,
    };
    Some(until(world, request, deadline, is_known).await)
}

fn judge_retry(case: Case, retries: Option<&[Operation]>) -> Finding {
    let name = "retry-ends-it";
    let statement = "a retry under the same key is answered as if nothing had been broken";
    let Some(retries) = retries else {
        let mut finding = Finding::new(name, statement, Vec::new());
        finding.outcome = Outcome::NotApplicable("the target knows no idempotency keys".into());
        return finding;
    };
    let is_answered = |last: &Operation| match case.story {
        Story::Refusal => last.is_refused(&Refusal::OutOfStock) || last.is_refused_without_reason(),
        Story::Purchase | Story::Repeat => last.is_ok(),
    };
    let violations = match retries.last() {
        Some(last) if is_answered(last) => Vec::new(),
        Some(last) => vec![last.describe()],
        None => vec!["no connection was accepted".into()],
    };
    Finding::new(name, statement, violations)
}

async fn judge_pool(
    world: &World<'_>,
    control: &Control,
    pool_size: Option<usize>,
    deadline: Instant,
) -> Finding {
    let name = "pool-is-whole";
    let statement = "as many requests as before hold a connection at once, within 5 s";
    let Some(size) = pool_size else {
        let mut finding = Finding::new(name, statement, Vec::new());
        let why = format!("the target's pool shows no steady size below {LARGEST_POOL}");
        finding.outcome = Outcome::NotApplicable(why);
        return finding;
    };
    // A pool may find out only now that a connection is dead: that costs a request, and the next
    // look finds another in its place.
    let mut found = BTreeSet::new();
    let mut refusal = None;
    while found.len() < size && Instant::now() < deadline {
        // What several looks find counts together, since workers do not accept evenly; but not
        // what is gone again.
        let open: BTreeSet<_> = control
            .sessions()
            .iter()
            .map(|session| session.id)
            .collect();
        found.retain(|session| open.contains(session));
        match held_connections(world, control, size, POOL_PATIENCE).await {
            Ok(held) => found.extend(held),
            Err(error) => refusal = Some(error),
        }
    }
    let violations = match (found.len() >= size, refusal) {
        (true, _) => Vec::new(),
        (false, None) => vec![format!("{size} connections before, {} after", found.len())],
        (false, Some(error)) => vec![error.to_string()],
    };
    Finding::new(name, statement, violations)
}

fn judge_fault(missed: Option<String>) -> Finding {
    let mut finding = Finding::new("fault-took-place", "the chosen step was broken", Vec::new());
    if let Some(why) = missed {
        finding.outcome = Outcome::Unchecked(why);
    }
    finding
}

fn judge_stall(was_given_up: bool) -> Finding {
    let statement = "the stalled step was given up before it was let go";
    let mut finding = Finding::new("stall-outlasts-timeouts", statement, Vec::new());
    if !was_given_up {
        let why = format!("nothing times out within {STALL_BOUND:?}");
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
