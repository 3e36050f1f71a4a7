//! One schedule, followed once: whether it could be, and what came of it.
//!
//! A schedule that leaves something to chance is followed again and again, within a bound, until
//! it is violated. Nothing is searched and nothing compared with an earlier run.

use std::fmt;

use rowlock_core::program::Program;
use rowlock_core::verdict::Verdict;

use super::control::LostControl;
use super::replay::CHANCES;
use super::run::Run;
use super::runner::Runner;
use super::schedule::Schedule;
use super::strategy::Follow;

/// What came of following a schedule.
#[derive(Debug)]
pub struct Followed<P: Program> {
    /// The last run; the violated one, if one was.
    pub run: Run<P>,
    /// How many runs there were.
    pub runs: usize,
    /// The schedule.
    schedule: Schedule,
}

/// Runs `program` under `schedule`, and behind its end lets whoever runs go on.
///
/// # Errors
/// What keeps a run from being made.
pub async fn follow<R: Runner>(
    runner: &mut R,
    program: &R::Program,
    schedule: &Schedule,
) -> Result<Followed<R::Program>, R::Error> {
    let steps_to_pair = schedule.steps_to_pair();
    let mut runs = 0;
    loop {
        runs += 1;
        let mut follow = Follow(schedule.clone());
        let run = runner.run(program, &mut follow).await?;
        let followed = Followed {
            run,
            runs,
            schedule: schedule.clone(),
        };
        let is_by_chance = steps_to_pair.is_some_and(|steps| followed.steps() >= steps);
        if !is_by_chance || runs == CHANCES || followed.verdict() == Verdict::Violation {
            return Ok(followed);
        }
    }
}

impl<P: Program> Followed<P> {
    /// What it says about the target.
    pub fn verdict(&self) -> Verdict {
        let is_violated = self.run.verdict() == Verdict::Violation;
        match self.run.execution.control.is_kept() {
            false => Verdict::Inconclusive,
            true if is_violated => Verdict::Violation,
            true if self.unmade() > 0 || self.schedule.steps_to_pair().is_some() => {
                Verdict::Inconclusive
            }
            true => self.run.verdict(),
        }
    }

    /// The steps that its choices delivered.
    fn steps(&self) -> usize {
        let choices = self.run.execution.schedule.0.iter();
        choices.map(|choice| choice.requests().count()).sum()
    }

    /// How many of the schedule's choices were not made.
    fn unmade(&self) -> usize {
        let made = self.run.execution.schedule.0.len();
        self.schedule.0.len().saturating_sub(made)
    }
}

/// In one sentence.
impl<P: Program> fmt::Display for Followed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self
            .run
            .violated()
            .map(|finding| finding.name.as_str())
            .collect();
        let names = names.join(", ");
        let made = self.run.execution.schedule.0.len();
        match (self.run.execution.control.lost(), self.verdict()) {
            (Some(why @ LostControl::NotEnabled { .. }), _) => write!(f, "not followed: {why}"),
            (Some(why), _) if names.is_empty() => {
                write!(f, "inconclusive: control was lost: {why}")
            }
            (Some(why), _) => write!(
                f,
                "inconclusive: control was lost: {why}; violated, but not by the schedule: {names}"
            ),
            (None, Verdict::Violation) => write!(f, "violated: {names}"),
            (None, Verdict::Valid) => f.write_str("not violated: all holds under this schedule"),
            (None, Verdict::Inconclusive) if self.unmade() > 0 => write!(
                f,
                "not followed: every request was answered after choice {made} of {}",
                self.schedule.0.len()
            ),
            (None, Verdict::Inconclusive) if self.schedule.steps_to_pair().is_some() => write!(
                f,
                "inconclusive: not violated in {} runs of a schedule that leaves it to chance",
                self.runs
            ),
            (None, Verdict::Inconclusive) => {
                f.write_str("inconclusive: an invariant could not be checked")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rowlock_shop::program;

    use super::super::toy::{Toy, ToyRunner, schedule};
    use super::*;

    async fn followed(toy: Toy, letters: &str) -> (Verdict, String) {
        let program = program::find("one-item").unwrap().program(2);
        let mut runner = ToyRunner::new(toy);
        let followed = follow(&mut runner, &program, &schedule(letters)).await;
        let followed = followed.unwrap();
        assert_eq!(runner.runs, followed.runs);
        (followed.verdict(), followed.to_string())
    }

    #[tokio::test]
    async fn a_schedule_that_violates_and_one_that_does_not_are_told_apart() {
        let (verdict, text) = followed(Toy::Unlocked, "ABBBBBAAAA").await;
        assert_eq!(verdict, Verdict::Violation);
        assert_eq!(
            text,
            "violated: stock-gone-is-purchases, stock-gone-is-answers"
        );
        // What is missing at its end is added.
        let (verdict, text) = followed(Toy::Unlocked, "A").await;
        assert_eq!(verdict, Verdict::Valid);
        assert_eq!(text, "not violated: all holds under this schedule");
    }

    #[tokio::test]
    async fn a_choice_that_cannot_be_made_is_named() {
        let (verdict, text) = followed(Toy::Right, "AAAAAAB").await;
        assert_eq!(verdict, Verdict::Inconclusive);
        assert!(
            text.starts_with("not followed: the schedule's choice 6 is A, which was answered"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn choices_behind_the_end_of_the_run_were_not_followed() {
        let (verdict, text) = followed(Toy::Right, "AAAAABBAB").await;
        assert_eq!(verdict, Verdict::Inconclusive);
        assert_eq!(
            text,
            "not followed: every request was answered after choice 7 of 9"
        );
    }

    #[tokio::test]
    async fn a_pair_that_never_violates_claims_nothing() {
        let (verdict, text) = followed(Toy::Right, "(AB)AAAAB").await;
        assert_eq!(verdict, Verdict::Inconclusive);
        assert_eq!(
            text,
            "inconclusive: not violated in 500 runs of a schedule that leaves it to chance"
        );
    }
}
