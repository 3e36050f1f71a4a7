//! Hundreds of actors whose stories begin in the same moment.
//!
//! So many have too many orders for the serial oracle. What is checked holds for any number: that
//! everybody is answered, that nothing is left open, and what the contract's invariants say.

use std::collections::BTreeMap;
use std::sync::Arc;

use rowlock_contract::Meaning;
use rowlock_core::answer::{Answer as _, Ending};
use rowlock_core::finding::{Finding, Outcome};
use rowlock_core::universal;
use rowlock_core::verdict::Verdict;
use serde::Serialize;

use super::judge::{Numbers, invariants};
use super::program::Program;
use super::story::{self, StoryAnswer, Telling};
use super::subject::ContractSubject;
use crate::client::Client;
use crate::environment::EnvironmentError;
use crate::load::measure::{Course, Measure, Measured, Rate, Sample};
use crate::load::{Answered, Loaded, World, crowd};
use crate::rig::Rig;
use crate::setting::Setting;
use crate::subject::Subject as _;

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
    /// Stories that were ok.
    #[serde(flatten)]
    pub rate: Rate,
    /// How the stories went on; empty where they were few.
    #[serde(skip_serializing_if = "Course::is_empty")]
    pub course: Course,
    /// Every check and how it came out.
    pub findings: Vec<Finding>,
    /// The worst of them.
    pub verdict: Verdict,
}

/// Lets `count` actors begin the stories of `program` at once, its participants in turn.
///
/// # Errors
/// Failures of the environment, and what the contract says wrongly.
pub async fn burst(
    setting: &Setting<'_>,
    subject: &ContractSubject,
    program: &Program,
    count: usize,
) -> Result<Burst, EnvironmentError> {
    let world = World::open(setting, subject, program.clone()).await?;
    let clients = world.connect_all(count).await?;
    let told = release(&world, program, clients).await;
    let measure = Measure::of(&told);
    let history: Vec<_> = told.into_iter().map(|told| told.answer).collect();
    let mut findings = world.end(&history, false).await?;
    findings.iter_mut().for_each(shorten);
    let (answers, gave_way) = count_calls(&history);
    Ok(Burst {
        program: program.name.clone(),
        actors: measure.operations,
        answers,
        gave_way,
        p50_us: measure.p50_us,
        p99_us: measure.p99_us,
        rate: measure.rate,
        course: measure.course,
        verdict: Verdict::compose(findings.iter().filter_map(Finding::verdict)),
        findings,
    })
}

impl Loaded for ContractSubject {
    type Before = Numbers;
    type After = Numbers;

    async fn begin(&self, rig: &Rig<Self>, program: &Program) -> Result<Numbers, EnvironmentError> {
        self.restore(rig).await?;
        let inspector = rig.inspector();
        let sql = self.reset_sql(rig.known(), program, inspector.baseline());
        inspector.execute(sql.clone()).await?;
        if self.remembers() {
            self.restart(rig).await?;
            inspector.execute(sql).await?;
        }
        self.look(rig).await
    }

    async fn look(&self, rig: &Rig<Self>) -> Result<Numbers, EnvironmentError> {
        let mut connection = rig.inspector().pool().acquire().await?;
        let numbers = self.read_numbers(rig.known(), &mut connection).await;
        numbers.map_err(|error| self.wrong_query(error.into()))
    }

    fn judge_load(&self, answered: Answered<'_, Self>) -> Vec<Finding> {
        let Answered {
            before,
            history,
            after,
            aftermath,
            broken,
            ..
        } = answered;
        let mut findings = universal::check(history, &aftermath, broken);
        findings.extend(invariants(self, before, after, history));
        findings
    }
}

/// A story with its times, in ns of the world's clock.
struct Timed {
    answer: StoryAnswer,
    intended_ns: u64,
    completed_ns: u64,
}

impl Measured for Timed {
    const COUNTED: &'static str = "stories";

    /// Its calls have a status each; of the story there is none.
    fn sample(&self) -> Sample {
        let ending = self.answer.ending();
        Sample {
            intended_ns: self.intended_ns,
            completed_ns: self.completed_ns,
            status: None,
            is_answered: true,
            is_ok: ending == Ending::Ok,
            gave_way: ending == Ending::GaveWay,
        }
    }
}

/// Lets all stories begin.
async fn release(
    world: &World<'_, ContractSubject>,
    program: &Program,
    clients: Vec<Client>,
) -> Vec<Timed> {
    let contract = world.rig().subject().shared_contract();
    let clock = world.clock();
    let actors = clients.into_iter().enumerate().map(|(index, mut client)| {
        let participant = program.actors[index % program.actors.len()].clone();
        let standing = world.known().standing_of(&participant.actor);
        let contract = Arc::clone(&contract);
        move |intended_ns| async move {
            let key = format!("rowlock-burst-{index}");
            let telling = Telling {
                contract: &contract,
                key: &key,
            };
            let answer = story::tell(telling, &participant, standing, &mut client).await;
            Timed {
                answer,
                intended_ns,
                completed_ns: clock.now_ns(),
            }
        }
    });
    crowd::release(actors, clock).await
}

/// How often each call was told what, and how many gave way.
fn count_calls(history: &[StoryAnswer]) -> (BTreeMap<String, u64>, u64) {
    let mut answers: BTreeMap<String, u64> = BTreeMap::new();
    let mut gave_way = 0;
    for told in history.iter().flat_map(|answer| &answer.calls) {
        let is_giving_way = matches!(told.completion.means, Meaning::Conflict | Meaning::Busy);
        gave_way += u64::from(is_giving_way);
        let words = format!("{} {}", told.call, told.reply());
        *answers.entry(words).or_default() += 1;
    }
    (answers, gave_way)
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
