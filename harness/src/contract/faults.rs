//! What a campaign of faults breaks of a contract: each story of one of its programs, alone and met
//! by another actor's.
//!
//! What is right is the program's serial orders: a story that was broken came whole or not at all,
//! and its answer says which, as far as it says anything.

use std::collections::{BTreeMap, BTreeSet};

use rowlock_contract::Contract;
use rowlock_core::answer::{Answer, Ending, Unknown};
use rowlock_core::finding::{Finding, Outcome};
use rowlock_core::rows::Rows;
use rowlock_core::serial::{CallIndex, Concurrent, Oracle};
use rowlock_core::universal;

use super::judge;
use super::keys;
use super::known::{Known, PATIENCE};
use super::program::Program;
use super::seat::Seat;
use super::serial::Expected;
use super::story::{self, StoryAnswer, Telling, Told};
use super::subject::ContractSubject;
use super::template::connect;
use crate::baseline::Baseline;
use crate::client::Client;
use crate::environment::EnvironmentError;
use crate::fault::stories::{Asked, Look, Recovery, Stage, Stories};
use crate::fault::{Case, Fault};
use crate::rig::Rig;
use crate::rows;
use crate::subject::Subject;
use crate::tables::Tables;
use crate::target::OnConflict;

/// A program of a contract, whose stories are broken.
#[derive(Debug, Clone)]
pub struct ContractStories {
    subject: ContractSubject,
    program: Program,
    /// Whether the contract wants stories that come whole to be undivided.
    keeps_stories_whole: bool,
}

/// An actor's story, under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoryRequest {
    actor: usize,
    key: String,
}

impl ContractStories {
    /// The stories of `program`. Each of their calls is whole for itself, whatever the contract asks
    /// of their meeting: where one fails, those before it have happened, and others' may lie between.
    pub fn new(subject: ContractSubject, program: Program) -> Self {
        let keeps_stories_whole = program.whole_stories;
        let program = Program {
            whole_stories: false,
            ..program
        };
        ContractStories {
            subject,
            program,
            keeps_stories_whole,
        }
    }

    /// The actors whose stories nobody may divide: those told once and to their end.
    fn undivided(&self, asked: &[Asked<Self>]) -> BTreeSet<usize> {
        let times = |actor| asked.iter().filter(|it| it.request.actor == actor).count();
        let is_whole = |it: &&Asked<Self>| {
            let actor = it.request.actor;
            let calls = &it.operation.calls;
            let is_ok = |told: &Told| told.completion.ending == Ending::Ok;
            calls.len() == self.program.actors[actor].story.len()
                && calls.iter().all(is_ok)
                && times(actor) == 1
        };
        let asked = asked.iter().filter(|_| self.keeps_stories_whole);
        asked.filter(is_whole).map(|it| it.request.actor).collect()
    }

    /// As in the serial runs, whose rows may hold the key.
    fn request(&self, actor: usize) -> StoryRequest {
        let key = self.program.key_of(actor);
        StoryRequest { actor, key }
    }

    /// Who meets an actor: the next one of the program, if there is another.
    fn other(&self, actor: usize) -> Option<usize> {
        let count = self.program.actors.len();
        (count > 1).then(|| (actor + 1) % count)
    }

    /// Why an actor's story may not come twice, if it may not: each call that changes something
    /// must name a key.
    fn no_key(&self, contract: &Contract, actor: usize) -> Option<String> {
        let call = keys::call_without(contract, &self.program.actors[actor].story)?;
        Some(format!("call `{call}` names no idempotency_key"))
    }

    /// Whether an actor's story ends so alone, as the serial runs have it.
    fn ends_as_alone(&self, actor: usize, answer: &StoryAnswer) -> bool {
        let is_refused = self
            .program
            .refused
            .contains(&self.program.actors[actor].actor);
        match answer.ending() {
            Ending::Ok => !is_refused && answer.broken_off.is_none(),
            Ending::Refused | Ending::GaveWay => is_refused,
            Ending::Unknown(_) => false,
        }
    }
}

impl Stories for ContractStories {
    type Subject = ContractSubject;
    type Name = Seat;
    type Request = StoryRequest;
    type Expected = Expected;

    const RECOVERY: Recovery = Recovery::Anew;

    fn subject(&self) -> &ContractSubject {
        &self.subject
    }

    fn names(&self, _known: &Known) -> Vec<Seat> {
        let seats = [false, true].into_iter().flat_map(|is_repeat| {
            let actors = 0..self.program.actors.len();
            actors.map(move |actor| Seat { is_repeat, actor })
        });
        let contract = self.subject.contract();
        let can_be_asked =
            |seat: &Seat| !seat.is_repeat || self.no_key(contract, seat.actor).is_none();
        seats.filter(can_be_asked).collect()
    }

    fn left_out(&self, _known: &Known) -> Vec<String> {
        let contract = self.subject.contract();
        let left_out = (0..self.program.actors.len()).filter_map(|actor| {
            let why = self.no_key(contract, actor)?;
            let is_repeat = true;
            Some(format!("{}: {why}", Seat { is_repeat, actor }))
        });
        left_out.collect()
    }

    fn title(&self, seat: Seat, rival: bool) -> String {
        let label = |actor: usize| self.program.actors[actor].label();
        let again = match seat.is_repeat {
            true => " again, under the same key",
            false => "",
        };
        let company = match self.other(seat.actor).filter(|_| rival) {
            Some(other) => format!("{} coming meanwhile", label(other)),
            None => "alone".to_owned(),
        };
        format!("{seat}: {}{again}, {company}", label(seat.actor))
    }

    async fn settle_in(&self, rig: &mut Rig<ContractSubject>) -> Result<(), EnvironmentError> {
        let sql = self
            .subject
            .reset_sql(rig.known(), &self.program, rig.inspector().baseline());
        rig.inspector().execute(sql).await?;
        let client = connect(rig.target().address(0), PATIENCE).await?;
        self.send(rig.known(), self.request(0), client).await;
        rig.inspector().wait_for_rest().await?;
        rig.inspector_mut().clear_and_renew().await?;
        self.note_begun(rig).await
    }

    async fn expect(&self, rig: &Rig<ContractSubject>) -> Result<Expected, EnvironmentError> {
        let baseline = rig.inspector().baseline().clone();
        let mut rows = rows::Rows::open(rig.database().options(), baseline).await?;
        let expected = self.subject.expect(rig, &mut rows, &self.program).await;
        rows.close().await;
        expected
    }

    fn reset_sql(&self, known: &Known, _seat: Seat, baseline: &Baseline) -> String {
        self.subject.reset_sql(known, &self.program, baseline)
    }

    fn chosen(&self, _known: &Known, seat: Seat, _run: &str) -> StoryRequest {
        self.request(seat.actor)
    }

    fn has_come_before(&self, seat: Seat) -> bool {
        seat.is_repeat
    }

    fn rival(&self, seat: Seat) -> Option<StoryRequest> {
        self.other(seat.actor).map(|other| self.request(other))
    }

    /// Somebody else, if there is somebody; it finds the program's rows.
    fn latecomer(&self, seat: Seat) -> StoryRequest {
        self.request(self.other(seat.actor).unwrap_or(seat.actor))
    }

    fn one_of_many(&self) -> StoryRequest {
        StoryRequest {
            actor: 0,
            key: "rowlock-one-of-many".to_owned(),
        }
    }

    fn not_repeatable(&self, _known: &Known, seat: Seat) -> Option<String> {
        self.no_key(self.subject.contract(), seat.actor)
    }

    fn is_final(&self, _: Case<Seat>, _: OnConflict, answer: &StoryAnswer) -> bool {
        matches!(answer.ending(), Ending::Ok | Ending::Refused) && answer.broken_off.is_none()
    }

    /// Where a rival came first, or the same call has come before, a refusal is an answer, too.
    fn is_answer(&self, case: Case<Seat>, _: OnConflict, answer: &StoryAnswer) -> bool {
        match case.rival || case.story.is_repeat {
            true => matches!(answer.ending(), Ending::Ok | Ending::Refused),
            false => self.ends_as_alone(case.story.actor, answer),
        }
    }

    fn is_served(&self, seat: Seat, answer: &StoryAnswer) -> bool {
        self.ends_as_alone(self.latecomer(seat).actor, answer)
    }

    /// A refusal of what was broken needs no serial order that refuses it.
    fn forgive(&self, _fault: Fault, _answer: &mut StoryAnswer) {}

    /// What was answered before, was answered.
    fn hang_up(answer: &mut StoryAnswer) {
        if let Some(last) = answer.calls.last_mut()
            && let Ending::Unknown(why) = &mut last.completion.ending
        {
            *why = Unknown::HungUp;
        }
    }

    fn was_sent(answer: &StoryAnswer) -> bool {
        !answer.calls.is_empty()
    }

    fn send(
        &self,
        known: &Known,
        request: StoryRequest,
        mut client: Client,
    ) -> impl Future<Output = StoryAnswer> + Send + 'static {
        let participant = self.program.actors[request.actor].clone();
        let standing = known.standing_of(&participant.actor);
        let contract = known.contract();
        async move {
            let telling = Telling {
                contract: &contract,
                key: &request.key,
            };
            story::tell(telling, &participant, standing, &mut client).await
        }
    }

    async fn look(&self, look: Look<'_, Self>) -> Result<Vec<Finding>, EnvironmentError> {
        let answers = answers(look.asked);
        let mut findings = match look.stage {
            Stage::Settled | Stage::Over => {
                let answers: Vec<_> = answers.values().cloned().collect();
                universal::check(&answers, &look.aftermath, true)
            }
            Stage::Retried => Vec::new(),
        };
        if look.stage == Stage::Over {
            return Ok(findings);
        }
        let inspector = look.rig.inspector();
        let mut connection = inspector.pool().acquire().await?;
        let known = look.rig.known();
        let read = self
            .subject
            .read(known, look.expected, &mut connection)
            .await;
        drop(connection);
        let mut left = inspector.explained(read).await?;
        let begun = Begun {
            here: known.begun(),
            there: &look.expected.initial,
        };
        let comparable = begun.align(&mut left.rows);
        let actor = look.case.story.actor;
        let shown = judge::Shown {
            program: &self.program,
            answers: answers.iter().map(|(actor, it)| (*actor, it)).collect(),
            undivided: self.undivided(look.asked),
            rows: &left.rows,
        };
        findings.push(explain(&shown, actor, look.expected, comparable));
        let history: Vec<_> = answers.into_values().collect();
        let before = &look.expected.before;
        let invariants = judge::invariants(&self.subject, before, &left.numbers, &history);
        findings.extend(invariants);
        Ok(findings)
    }
}

impl ContractStories {
    /// Takes note of the rows that the cases on `rig` begin with: a service may have written some
    /// as it started.
    async fn note_begun(&self, rig: &Rig<ContractSubject>) -> Result<(), EnvironmentError> {
        let inspector = rig.inspector();
        let sql = self
            .subject
            .reset_sql(rig.known(), &self.program, inspector.baseline());
        inspector.execute(sql).await?;
        let mut connection = inspector.pool().acquire().await?;
        let tables = Tables::look_up(&mut connection).await?;
        let learned = self.subject.learn_tables(&tables, &mut connection).await?;
        let read = self.subject.read_tables(&tables, &learned, &mut connection);
        let begun = read.await;
        drop(connection);
        rig.known()
            .remember_begun(inspector.explained(begun).await?);
        Ok(())
    }
}

/// Whether what was broken came whole or not at all, as its answers say.
fn explain(
    shown: &judge::Shown<'_>,
    broken: usize,
    expected: &Expected,
    comparable: Result<(), String>,
) -> Finding {
    let mut finding = Finding::new(
        judge::SERIAL_ORDER,
        "answers and rows are those of the same calls one after another, each whole or not at all",
        Vec::new(),
    );
    let first = CallIndex {
        actor: broken,
        position: 0,
    };
    let broken = shown.refused_call(broken).unwrap_or(first);
    let atomicity = |oracle: &Oracle, run: &Concurrent| oracle.atomicity(run, broken);
    finding.outcome = match comparable {
        Ok(()) => shown.explain(&expected.oracle, atomicity),
        Err(why) => Outcome::Unchecked(why),
    };
    finding
}

/// What each actor was told; a story that came again under the same key is one.
fn answers(asked: &[Asked<ContractStories>]) -> BTreeMap<usize, StoryAnswer> {
    let mut answers: BTreeMap<usize, StoryAnswer> = BTreeMap::new();
    for Asked { request, operation } in asked {
        match answers.get_mut(&request.actor) {
            Some(answer) => answer.come_again(operation),
            None => drop(answers.insert(request.actor, operation.clone())),
        }
    }
    answers
}

/// The rows that cases begin with, on one rig and on the one where the serial orders were run.
struct Begun<'a> {
    here: Option<&'a Rows>,
    there: &'a Rows,
}

impl Begun<'_> {
    /// Makes `left`, which was left here, comparable with what serial orders left there: a table that
    /// each start of the service fills with other rows is as it was there, where nothing has changed
    /// it since. `Err` says what cannot be compared.
    fn align(&self, left: &mut Rows) -> Result<(), String> {
        let Some(here) = self.here else {
            return Ok(());
        };
        for (name, table) in &mut left.0 {
            let (Some(here), Some(there)) = (here.0.get(name), self.there.0.get(name)) else {
                continue;
            };
            if judge::has_rows_of(here, there) {
                continue;
            }
            match judge::has_rows_of(here, table) {
                true => table.clone_from(there),
                false => {
                    return Err(format!(
                        "`{name}` holds other rows at each start of the service, and the calls \
                         change it"
                    ));
                }
            }
        }
        Ok(())
    }
}
