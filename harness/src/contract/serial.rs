//! Every order of a program's calls, run alone: what is right, and what is noise.
//!
//! Each order is run twice, the second time more than a second later and with every sequence moved
//! on, so that no identifier and no time is taken for the calls' doing.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rowlock_contract::{Contract, Meaning};
use rowlock_core::answer::Ending;
use rowlock_core::rows::Rows;
use rowlock_core::serial::{
    Atomic, CallIndex, Compared, Mask, Oracle, Order, SerialRun, Told as SerialTold,
};

use super::judge::Numbers;
use super::known::PATIENCE;
use super::program::Program;
use super::story::{self, Standing, StoryAnswer, Told};
use super::subject::ContractSubject;
use super::template::{connect, wrong};
use crate::environment::EnvironmentError;
use crate::rig::Rig;
use crate::subject::Subject;
use crate::tables::{Known, Tables};
use crate::target::Target;

/// Between the two runs of an order: longer than the coarsest time that services write down.
const APART: Duration = Duration::from_millis(1_100);

/// How far sequences are moved on for the second run.
const MOVED_ON: i64 = 1_000;

/// What is to be expected of a program.
#[derive(Debug)]
pub struct Expected {
    /// The serial runs, or why nothing can be said.
    pub(super) oracle: Result<Oracle, String>,
    /// What tables there are.
    pub(super) tables: Tables,
    /// The rows that every run begins with, as they are read.
    pub(super) known: Known,
    /// The same, as they are compared.
    pub(super) initial: Rows,
    /// What the invariants' queries say before a run.
    pub(super) before: Numbers,
    /// The longest that a call took alone.
    pub(super) takes_alone: Duration,
}

impl Expected {
    /// Whether a call of an actor's `answer` was refused in words that no serial order has for it.
    pub(super) fn never_refuses_so(&self, actor: usize, answer: &StoryAnswer) -> bool {
        let Ok(oracle) = &self.oracle else {
            return false;
        };
        let runs = oracle.orders().iter().filter_map(|order| oracle.run(order));
        let serial = runs.flat_map(|run| run.order.0.iter().zip(&run.told));
        let of_actor = serial.filter(|(call, _)| call.actor == actor);
        let said: BTreeSet<_> = of_actor
            .map(|(call, told)| (call.position, told.reply.as_str()))
            .collect();
        let mut told = answer.calls.iter().enumerate();
        told.any(|(position, told)| {
            let is_refused = told.completion.ending == Ending::Refused;
            is_refused && !said.contains(&(position, told.reply().as_str()))
        })
    }
}

/// The place where orders are run.
pub(super) struct Serial<'a> {
    pub(super) subject: &'a ContractSubject,
    pub(super) rig: &'a Rig<ContractSubject>,
    rows: &'a mut crate::rows::Rows,
    pub(super) program: &'a Program,
    /// The longest that a call has taken.
    takes_alone: Cell<Duration>,
}

impl<'a> Serial<'a> {
    pub(super) fn new(
        subject: &'a ContractSubject,
        rig: &'a Rig<ContractSubject>,
        rows: &'a mut crate::rows::Rows,
        program: &'a Program,
    ) -> Self {
        Serial {
            subject,
            rig,
            rows,
            program,
            takes_alone: Cell::default(),
        }
    }

    /// Runs every order, twice.
    ///
    /// # Errors
    /// Failures of the environment; [`EnvironmentError::Contract`] where a story that is to be
    /// explored is not ok alone, or an actor is not refused who should be.
    pub(super) async fn expect(mut self) -> Result<Expected, EnvironmentError> {
        // What the service makes only at its first call is there after this.
        self.reset(0).await?;
        let first = self.run(&self.whole_story(0)).await?.unwrap_or_default();
        self.rows.renew().await?;

        self.reset(0).await?;
        let tables = self.rows.read(Tables::look_up).await?;
        let subject = self.subject;
        let known = self
            .rows
            .read(async |connection: &mut _| subject.learn_tables(&tables, connection).await)
            .await?;
        let initial = self
            .rows
            .read(async |connection: &mut _| subject.read_tables(&tables, &known, connection).await)
            .await?;
        let actors = self.rig.known();
        let before = self
            .rows
            .read(async |connection: &mut _| subject.read_numbers(actors, connection).await)
            .await
            .map_err(|error| subject.wrong_query(error))?;
        let oracle = self.oracle(&tables, &known, &first).await?;
        Ok(Expected {
            oracle,
            tables,
            known,
            initial,
            before,
            takes_alone: self.takes_alone.get(),
        })
    }

    async fn oracle(
        &mut self,
        tables: &Tables,
        known: &Known,
        first: &[Told],
    ) -> Result<Result<Oracle, String>, EnvironmentError> {
        let atomic = match self.program.whole_stories {
            true => Atomic::Story,
            false => Atomic::Call,
        };
        let stories = self.program.story_lengths();
        let planned = self.program.actors.iter().flat_map(|actor| &actor.story);
        let mut calls = planned.filter_map(|planned| self.contract().call(&planned.call));
        let compared = match calls.any(|call| !call.compare.is_empty()) {
            true => Compared::Bodies,
            false => Compared::Endings,
        };
        let oracle = Oracle::new(&stories, atomic, compared, Mask::default());
        let mut oracle = match oracle {
            Ok(oracle) => oracle,
            Err(too_many) => return Ok(Err(too_many.to_string())),
        };
        let began = Instant::now();
        let orders = oracle.orders().to_vec();
        let mut made = Vec::new();
        for order in orders {
            match self.run_from(0, &order, tables, known).await? {
                Some(run) => {
                    made.push(order);
                    oracle.add(run);
                }
                None => oracle.rule_out(order),
            }
        }
        if let Some(why) = self.calibrate(&oracle, first).await? {
            return Ok(Err(why));
        }
        tokio::time::sleep_until((began + APART).into()).await;
        for order in made {
            let Some(run) = self.run_from(MOVED_ON, &order, tables, known).await? else {
                let name = |call| self.program.name_of(call);
                let order = order.describe(name);
                return Ok(Err(format!("{order} could be made once and not again")));
            };
            if let Err(unrepeatable) = oracle.repeat(run) {
                return Ok(Err(format!(
                    "the service remembers something outside its database: {unrepeatable}; or does \
                     a login expire?"
                )));
            }
        }
        self.subject.remember_mask(oracle.mask());
        Ok(Ok(oracle))
    }

    pub(super) fn contract(&self) -> &Contract {
        self.subject.contract()
    }

    pub(super) fn whole_story(&self, actor: usize) -> Order {
        let story = 0..self.program.actors[actor].story.len();
        Order(
            story
                .map(|position| CallIndex { actor, position })
                .collect(),
        )
    }

    /// Puts the program's rows there, with sequences moved on.
    pub(super) async fn reset(&mut self, moved_on: i64) -> Result<(), EnvironmentError> {
        self.subject.restore(self.rig).await?;
        let sql = self.subject.reset_moved_on(
            self.rig.known(),
            self.program,
            self.rows.baseline(),
            moved_on,
        );
        self.rows.execute(sql.clone()).await?;
        if self.subject.remembers() {
            self.subject.restart(self.rig).await?;
            self.rows.execute(sql).await?;
        }
        Ok(())
    }

    async fn run_from(
        &mut self,
        moved_on: i64,
        order: &Order,
        tables: &Tables,
        known: &Known,
    ) -> Result<Option<SerialRun>, EnvironmentError> {
        self.reset(moved_on).await?;
        let Some(told) = self.run(order).await? else {
            return Ok(None);
        };
        let subject = self.subject;
        let rows = self
            .rows
            .read(async |connection: &mut _| subject.read_tables(tables, known, connection).await)
            .await?;
        Ok(Some(SerialRun {
            order: order.clone(),
            told: told.iter().map(serial_told).collect(),
            rows,
        }))
    }

    pub(super) async fn run(&self, order: &Order) -> Result<Option<Vec<Told>>, EnvironmentError> {
        self.run_on(self.rig.target(), order).await
    }

    /// Makes the calls of `order`, one after another; nothing where one cannot be made.
    pub(super) async fn run_on(
        &self,
        target: &Target,
        order: &Order,
    ) -> Result<Option<Vec<Told>>, EnvironmentError> {
        let actors_known = self.rig.known();
        let mut actors = Vec::new();
        for (index, participant) in self.program.actors.iter().enumerate() {
            let standing = actors_known.standing_of(&participant.actor);
            let with = standing.with(participant.with.clone());
            let standing: Standing = with.map_err(|why| wrong(self.contract(), 0, &why))?;
            let address = target.address(index);
            actors.push((standing, connect(address, PATIENCE).await?));
        }
        let mut told = Vec::new();
        for CallIndex { actor, position } in &order.0 {
            let (standing, client) = &mut actors[*actor];
            let key = self.program.key_of(*actor);
            let telling = story::Telling {
                contract: self.contract(),
                key: &key,
            };
            let planned = &self.program.actors[*actor].story[*position];
            let began = Instant::now();
            let made = story::make(telling, planned, standing, client).await;
            let took = began.elapsed().max(self.takes_alone.get());
            self.takes_alone.set(took);
            match made {
                Ok((answer, _)) => told.push(answer),
                Err(_) => return Ok(None),
            }
        }
        self.rig.inspector().wait_for_rest().await?;
        Ok(Some(told))
    }
}

/// What decides of an answer: how it ended, and why where the contract names it.
pub(super) fn serial_told(told: &Told) -> SerialTold {
    let completion = &told.completion;
    SerialTold {
        ending: completion.ending,
        reason: match completion.means {
            Meaning::Refused => completion.reason.clone(),
            _ => None,
        },
        body: match told.compared.is_empty() {
            true => None,
            false => Some(told.compared.join("\n")),
        },
        reply: told.reply(),
    }
}
