//! What must be so of each story alone, before anything is judged, and before anybody is accused.

use std::collections::BTreeSet;

use rowlock_core::answer::Ending;
use rowlock_core::serial::{Oracle, Order};

use super::serial::{Expected, Serial, serial_told};
use super::story::Told;
use super::template::wrong;
use crate::environment::EnvironmentError;
use crate::target::Target;

impl Serial<'_> {
    /// Each story alone must be ok, but for actors who are to be refused. Says why nothing can be
    /// known where one is ok only of a service that has just started, or was ok at `first`.
    pub(super) async fn calibrate(
        &mut self,
        oracle: &Oracle,
        first: &[Told],
    ) -> Result<Option<String>, EnvironmentError> {
        for (index, actor) in self.program.actors.iter().enumerate() {
            let order = self.whole_story(index);
            let Some(alone) = oracle.run(&order) else {
                let why = format!("the story of `{}` cannot be told alone", actor.label());
                return Err(wrong(self.contract(), self.line(), &why));
            };
            let is_refused = self.program.refused.contains(&actor.actor);
            let bad = alone.told.iter().zip(&actor.story);
            let mut bad = bad.filter(|(told, _)| told.ending != Ending::Ok);
            let (Some((told, planned)), false) = (bad.next(), is_refused) else {
                continue;
            };
            // Rows at the edges refuse some actor.
            if self.program.is_generated() && told.ending == Ending::Refused {
                continue;
            }
            if self.is_ok_after_a_start(&order).await? {
                return Ok(Some(format!(
                    "the service remembers something outside its database: from the same rows, \
                     `{}` alone is told \"{}\", and ok where the service has just started",
                    actor.label(),
                    told.reply
                )));
            }
            let was_ok = |told: &Told| told.completion.ending == Ending::Ok;
            if index == 0 && first.len() == actor.story.len() && first.iter().all(was_ok) {
                return Ok(Some(no_longer(&actor.label(), "ok", &told.reply)));
            }
            let contract = self.contract();
            let line = contract.call(&planned.call).map_or(0, |call| call.line);
            let why = format!(
                "calibration: `{}` alone, from the rows of program `{}`, was not ok: call `{}` was \
                 told \"{}\"",
                actor.label(),
                self.program.name,
                planned.call,
                told.reply
            );
            return Err(wrong(contract, line, &why));
        }
        self.must_be_refused(oracle)?;
        Ok(None)
    }

    /// Whether a service that has called nothing yet is ok with every call of `order`. One that
    /// cannot run twice is not asked.
    async fn is_ok_after_a_start(&mut self, order: &Order) -> Result<bool, EnvironmentError> {
        let spec = self.subject.target();
        if !spec.may_run_twice() {
            return Ok(false);
        }
        let target = Target::start(&spec, &self.rig.database().url(), &[]).await?;
        self.reset(0).await?;
        let told = self.run_on(&target, order).await;
        target.stop().await;
        let told = told?.unwrap_or_default();
        let is_whole = told.len() == order.0.len();
        Ok(is_whole && told.iter().all(|told| told.completion.ending == Ending::Ok))
    }

    /// Each actor who is to be refused is, in some order.
    fn must_be_refused(&self, oracle: &Oracle) -> Result<(), EnvironmentError> {
        for (index, actor) in self.program.actors.iter().enumerate() {
            if !self.program.refused.contains(&actor.actor) {
                continue;
            }
            let runs = oracle.orders().iter().filter_map(|order| oracle.run(order));
            let told = runs.flat_map(|run| run.order.0.iter().zip(&run.told));
            let told: Vec<_> = told
                .filter(|(call, _)| call.actor == index)
                .map(|(_, told)| told)
                .collect();
            if !told.iter().any(|told| told.ending == Ending::Refused) {
                let replies: BTreeSet<_> = told.iter().map(|told| told.reply.as_str()).collect();
                let replies: Vec<_> = replies.iter().map(|it| format!("\"{it}\"")).collect();
                let why = format!(
                    "calibration: program `{}` says that `{}` is refused, and in no order it is: it \
                     was told {}",
                    self.program.name,
                    actor.actor,
                    replies.join(" or ")
                );
                return Err(wrong(self.contract(), self.line(), &why));
            }
        }
        Ok(())
    }

    /// Whether each actor's story alone still ends as it is `expected` to, and if not, how.
    ///
    /// # Errors
    /// Failures of the environment.
    pub(super) async fn ends_as(
        mut self,
        expected: &Expected,
    ) -> Result<Result<(), String>, EnvironmentError> {
        let Ok(oracle) = &expected.oracle else {
            return Ok(Ok(()));
        };
        for (index, actor) in self.program.actors.iter().enumerate() {
            let order = self.whole_story(index);
            let Some(before) = oracle.run(&order) else {
                continue;
            };
            self.reset(0).await?;
            let now = self.run(&order).await?.unwrap_or_default();
            let now: Vec<_> = now.iter().map(serial_told).collect();
            let mut other = before.told.iter().zip(&now);
            let other = other.find(|(before, now)| before.ending != now.ending);
            if let Some((before, now)) = other {
                return Ok(Err(no_longer(&actor.label(), &before.reply, &now.reply)));
            }
        }
        Ok(Ok(()))
    }

    /// Where the contract writes the program; 0 where it is made.
    fn line(&self) -> usize {
        let mut written = self.contract().programs.iter();
        let written = written.find(|spec| spec.name == self.program.name);
        written.map_or(0, |spec| spec.line)
    }
}

/// What a service does no longer, in words.
fn no_longer(label: &str, before: &str, now: &str) -> String {
    format!(
        "the service has a limit of time: from the same rows, `{label}` alone is now told \"{now}\", \
         and was told \"{before}\" before; does a login expire?"
    )
}
