//! One case, from its rows to its verdict.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::time::timeout;

use super::strike::{Strike, Struck, sql};
use super::{Case, Story};
use crate::crowd;
use crate::history::{Operation, Refusal, Request};
use crate::invariant::{Finding, Outcome};
use crate::judgement::judge;
use crate::proxy::gate::{Event, channel};
use crate::proxy::{Control, Recording, SessionId};
use crate::recovery::sell_again;
use crate::shop::Shop;
use crate::verdict::Verdict;
use crate::world::{EnvironmentError, World};

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

/// How long the pool may take to get its full size back.
const POOL_BOUND: Duration = Duration::from_secs(5);

/// How long one look waits for the next connection to show.
const POOL_PATIENCE: Duration = Duration::from_millis(300);

/// A target whose pool is larger is not measured.
const LARGEST_POOL: usize = 32;

/// What a case was, and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Played {
    /// The case.
    pub case: Case,
    /// The SQL of the step that broke.
    pub sql: String,
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
    /// The SQL of each step, in order.
    pub(super) steps: Vec<String>,
    /// How many requests hold a connection at once; none where that is not measured.
    pub(super) pool_size: Option<usize>,
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
) -> Result<Vec<String>, EnvironmentError> {
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
    control.set_trace(None);
    let records = recording.take();
    let steps = records.iter().filter(|record| record.step.kind.runs());
    Ok(steps.map(|record| sql(&record.step)).collect())
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
/// the connections that hold a step, once they are `enough` or none has come for `patience`.
/// Many requests, since replicas and workers do not share them evenly.
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
    let mut sessions = BTreeSet::new();
    while sessions.len() < enough {
        match timeout(patience, events.recv()).await {
            Ok(Some(Event::Request(step))) => drop(sessions.insert(step.id.session)),
            Ok(Some(_)) => {}
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
    let expected_sql = baseline
        .steps
        .get(case.step - 1)
        .cloned()
        .unwrap_or_default();
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
    let Struck { operations, missed } = strike.run().await?;
    history.extend(operations);

    // Before anybody comes again: a retry could mend, or hide, what the fault left.
    let mut findings = judge(&world.gather(history.clone(), true).await?);
    let (sold, operations) = sell_again(world, Request::new(LATECOMER, OTHER_ITEM)).await;
    history.extend(operations);
    findings.push(sold);
    let retry = retry(world, case, victim).await?;
    findings.push(judge_retry(case, retry.as_ref()));
    history.extend(retry);
    findings.push(judge_pool(world, control, baseline.pool_size).await?);
    let after = judge(&world.gather(history.clone(), true).await?);
    merge(&mut findings, after);
    findings.push(judge_fault(missed));

    let verdict = Verdict::compose(findings.iter().filter_map(Finding::verdict));
    Ok(Played {
        case,
        sql: expected_sql,
        verdict,
        findings,
        operations: history,
    })
}

/// The same request under the same key once more, where the target knows keys.
async fn retry(
    world: &World<'_>,
    case: Case,
    request: Request,
) -> Result<Option<Operation>, EnvironmentError> {
    if request.key.is_none() && case.story != Story::Refusal {
        return Ok(None);
    }
    Ok(buy(world, request).await?.pop())
}

fn judge_retry(case: Case, retry: Option<&Operation>) -> Finding {
    let name = "retry-ends-it";
    let statement = "a retry under the same key is answered as if nothing had been broken";
    let Some(retry) = retry else {
        let mut finding = Finding::new(name, statement, Vec::new());
        finding.outcome = Outcome::NotApplicable("the target knows no idempotency keys".into());
        return finding;
    };
    let answered = match case.story {
        Story::Refusal => retry.is_refused(&Refusal::OutOfStock),
        Story::Purchase | Story::Repeat => retry.is_ok(),
    };
    let violations = if answered {
        Vec::new()
    } else {
        vec![retry.describe()]
    };
    Finding::new(name, statement, violations)
}

async fn judge_pool(
    world: &World<'_>,
    control: &Control,
    pool_size: Option<usize>,
) -> Result<Finding, EnvironmentError> {
    let name = "pool-is-whole";
    let statement = "as many requests as before hold a connection at once, within 5 s";
    let Some(size) = pool_size else {
        let mut finding = Finding::new(name, statement, Vec::new());
        let why = format!("the target's pool shows no steady size below {LARGEST_POOL}");
        finding.outcome = Outcome::NotApplicable(why);
        return Ok(finding);
    };
    // A pool may find out only now that a connection is dead: that costs a request, and the next
    // look finds another in its place.
    let deadline = Instant::now() + POOL_BOUND;
    // What several looks find counts together, since workers do not accept evenly.
    let mut found = BTreeSet::new();
    while found.len() < size && Instant::now() < deadline {
        found.extend(held_connections(world, control, size, POOL_PATIENCE).await?);
    }
    let violations = match found.len() >= size {
        true => Vec::new(),
        false => vec![format!("{size} connections before, {} after", found.len())],
    };
    Ok(Finding::new(name, statement, violations))
}

fn judge_fault(missed: Option<String>) -> Finding {
    let mut finding = Finding::new("fault-took-place", "the chosen step was broken", Vec::new());
    if let Some(why) = missed {
        finding.outcome = Outcome::Unchecked(why);
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
