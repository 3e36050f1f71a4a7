//! Hundreds of actors whose stories begin in the same moment.
//!
//! So many have too many orders for the serial oracle. What is checked holds for any number: that
//! everybody is answered, that nothing is left open, and what the contract's invariants say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use hdrhistogram::Histogram;
use rowlock_contract::Meaning;
use rowlock_core::answer::Answer as _;
use rowlock_core::finding::{Finding, Outcome};
use rowlock_core::universal;
use rowlock_core::verdict::Verdict;
use rowlock_postgres::Server;
use serde::Serialize;
use tokio::sync::watch;

use super::judge::{Numbers, invariants};
use super::program::Program;
use super::story::{self, StoryAnswer, Telling};
use super::subject::ContractSubject;
use crate::client::{Client, Clock};
use crate::environment::EnvironmentError;
use crate::rig::{Parts, Rig};
use crate::subject::Subject as _;
use crate::target::TargetSpec;

/// Connections being opened at once, fewer than the shortest listen backlog around.
const RAMP: usize = 100;

/// An hour, which no client waits.
const LONGEST_US: u64 = 3_600_000_000;

/// How many places of a violated check are kept.
const PLACES: usize = 5;

/// What a burst came to.
#[derive(Debug, Serialize)]
pub struct Burst {
    /// The program whose actors called.
    pub program: String,
    /// How many stories began.
    pub actors: usize,
    /// How often each call was told what, in words.
    pub answers: BTreeMap<String, u64>,
    /// How many calls gave way to others or to load.
    pub gave_way: u64,
    /// The time from the common start to a story's end, its median, in µs.
    pub p50_us: u64,
    /// Its 99th percentile, in µs.
    pub p99_us: u64,
    /// Stories that were ok, per second.
    pub stories_per_second: f64,
    /// Every check and how it came out.
    pub findings: Vec<Finding>,
    /// The worst of them.
    pub verdict: Verdict,
}

/// Lets `count` actors begin the stories of `program` at once, its participants in turn. Nobody
/// waits for an answer for longer than `patience`.
///
/// # Errors
/// Failures of the environment, and what the contract says wrongly.
pub async fn burst(
    subject: &ContractSubject,
    server: &Server,
    target: &TargetSpec,
    program: &Program,
    count: usize,
    patience: Duration,
) -> Result<Burst, EnvironmentError> {
    let rig = Rig::open(Parts {
        server,
        subject,
        target,
        target_env: &[],
        is_proxied: false,
        patience,
        trace: None,
    })
    .await?;
    let before = begin(subject, &rig, program).await?;
    let clients = connect(&rig, count, patience).await?;
    let (history, durations, elapsed) = release(&rig, program, clients).await;
    let aftermath = rig.inspector().wait_for_rest().await?;
    let after = numbers(subject, &rig).await?;
    let remains = rig.stop_target().await;
    let deadlocks = remains.deadlocks().await?;
    remains.drop(server).await?;
    let aftermath = universal::Aftermath {
        deadlocks,
        ..aftermath
    };
    let mut findings = universal::check(&history, &aftermath, false);
    findings.extend(invariants(subject, &before, &after, &history));
    findings.iter_mut().for_each(shorten);
    Ok(Burst {
        program: program.name.clone(),
        actors: count,
        verdict: Verdict::compose(findings.iter().filter_map(Finding::verdict)),
        findings,
        ..Burst::measured(&history, &durations, elapsed)
    })
}

/// Puts the program's rows there; what the invariants' queries say then.
async fn begin(
    subject: &ContractSubject,
    rig: &Rig<ContractSubject>,
    program: &Program,
) -> Result<Numbers, EnvironmentError> {
    let inspector = rig.inspector();
    subject.restore(rig).await?;
    let sql = subject.reset_sql(rig.known(), program, inspector.baseline());
    inspector.execute(sql).await?;
    numbers(subject, rig).await
}

async fn numbers(
    subject: &ContractSubject,
    rig: &Rig<ContractSubject>,
) -> Result<Numbers, EnvironmentError> {
    let mut connection = rig.inspector().pool().acquire().await?;
    let numbers = subject.read_numbers(rig.known(), &mut connection).await;
    numbers.map_err(|error| subject.wrong_query(error.into()))
}

async fn connect(
    rig: &Rig<ContractSubject>,
    count: usize,
    patience: Duration,
) -> Result<Vec<Client>, EnvironmentError> {
    let clock = Clock::start();
    let connect = |index: usize| async move {
        let address = rig.target().address(index);
        let connected = Client::connect(address, clock, patience).await;
        connected.map_err(|source| EnvironmentError::Connect {
            index,
            count,
            source,
        })
    };
    stream::iter((0..count).map(connect))
        .buffered(RAMP)
        .try_collect()
        .await
}

/// Lets all stories begin: what was told, how long each took, and all of them.
async fn release(
    rig: &Rig<ContractSubject>,
    program: &Program,
    clients: Vec<Client>,
) -> (Vec<StoryAnswer>, Vec<Duration>, Duration) {
    let (start, started) = watch::channel(None::<Instant>);
    let contract = rig.subject().shared_contract();
    let told: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(index, mut client)| {
            let participant = program.actors[index % program.actors.len()].clone();
            let standing = rig.known().standing_of(&participant.actor);
            let (mut started, contract) = (started.clone(), Arc::clone(&contract));
            tokio::spawn(async move {
                let began = started.wait_for(Option::is_some).await;
                let began = began.ok().and_then(|began| *began);
                let began = began.expect("the start is given before its sender goes");
                let key = format!("rowlock-burst-{index}");
                let telling = Telling {
                    contract: &contract,
                    key: &key,
                };
                let answer = story::tell(telling, &participant, standing, &mut client).await;
                (answer, began.elapsed())
            })
        })
        .collect();
    let began = Instant::now();
    start.send_replace(Some(began));
    let (mut history, mut durations) = (Vec::new(), Vec::new());
    for told in told {
        let (answer, duration) = told.await.expect("a client's task does not panic");
        history.push(answer);
        durations.push(duration);
    }
    (history, durations, began.elapsed())
}

impl Burst {
    fn measured(history: &[StoryAnswer], durations: &[Duration], elapsed: Duration) -> Burst {
        let mut answers: BTreeMap<String, u64> = BTreeMap::new();
        let mut gave_way = 0;
        for told in history.iter().flat_map(|answer| &answer.calls) {
            let is_giving_way = matches!(told.completion.means, Meaning::Conflict | Meaning::Busy);
            gave_way += u64::from(is_giving_way);
            let words = format!("{} {}", told.call, told.reply());
            *answers.entry(words).or_default() += 1;
        }
        let mut latencies = Histogram::<u64>::new_with_bounds(1, LONGEST_US, 3)
            .expect("the bounds and figures are allowed");
        for duration in durations {
            latencies.saturating_record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        }
        let is_ok = |answer: &&StoryAnswer| answer.ending() == rowlock_core::answer::Ending::Ok;
        let ok = history.iter().filter(is_ok).count();
        Burst {
            program: String::new(),
            actors: history.len(),
            answers,
            gave_way,
            p50_us: latencies.value_at_quantile(0.50),
            p99_us: latencies.value_at_quantile(0.99),
            stories_per_second: ok as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE),
            findings: Vec::new(),
            verdict: Verdict::Inconclusive,
        }
    }
}

/// Keeps the first places of a violated check, and says how many more there are.
fn shorten(finding: &mut Finding) {
    if let Outcome::Violated(places) = &mut finding.outcome
        && places.len() > PLACES
    {
        let more = places.len() - PLACES;
        places.truncate(PLACES);
        places.push(format!("and {more} more"));
    }
}
