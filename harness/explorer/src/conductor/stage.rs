//! The stages that a request goes through, and the only ways from one to another.
//!
//! ```text
//!   invoked                                          a turn: one step of the request
//!      │            ┌───────────────────────────────────────────────────────────────────┐
//!      ▼            │   hold              deliver              reply                    │
//!   ┌─────────┐     │ ┌──────┐  chosen  ┌───────────┐ PostgreSQL ┌─────────┐  hand out  │
//!   │ Running │ ────┴▶│ Held │ ────────▶│ Delivered │ ──────────▶│ Replied │ ───────────┘
//!   └─────────┘       └──────┘          └───────────┘  answers   └─────────┘  to Running
//!    │ ▲   │ ▲          ▲  │             (may wait
//!    │ │   │ └──────────┼──┘              for a lock)
//!    │ │   │  withdraw: │ its connection closes
//!    │ │   │            │
//!    │ │   │ stall      │ hold: its next step shows that it went on
//!    │ │   ▼            │
//!    │ │ ┌─────────┐    │
//!    │ └─│ Stalled │────┘
//!    │   └─────────┘  wake: an answer or a connection shows that it went on
//!    │ finish: answered, and its transaction over
//!    ▼
//!   Done
//! ```
//!
//! Whatever is not drawn is impossible as long as one request has one step under way at a time; a
//! target that does it takes control away. Nothing is chosen here and nothing waited for.

use rowlock_proxy::{Reply, Step, StepId};

/// Where a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its application code may run.
    Running,
    /// Its next step is held at the gate.
    Held(Box<Step>),
    /// This step is on the server.
    Delivered(Box<Step>),
    /// This step has its reply, which the application does not have.
    Replied(Box<Step>, Reply),
    /// Its application code waits for something inside the application.
    Stalled {
        /// How many requests stalled before it; the first to wait is the first to go on.
        turn: u64,
    },
    /// It is answered, and its transaction is over.
    Done,
}

/// A way from one stage to another that there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Impossible;

impl Stage {
    /// The request's next step arrived. Says whether that woke it.
    pub(super) fn hold(&mut self, step: Box<Step>) -> Result<bool, Impossible> {
        let is_woken = match self {
            Stage::Running => false,
            Stage::Stalled { .. } => true,
            _ => return Err(Impossible),
        };
        *self = Stage::Held(step);
        Ok(is_woken)
    }

    /// The connection on which `step` was held has closed.
    pub(super) fn withdraw(&mut self, step: StepId) -> Result<(), Impossible> {
        match self {
            Stage::Held(held) if held.id == step => *self = Stage::Running,
            _ => return Err(Impossible),
        }
        Ok(())
    }

    /// The held step was chosen, and goes to the server.
    pub(super) fn deliver(&mut self) -> Result<&Step, Impossible> {
        match std::mem::replace(self, Stage::Running) {
            Stage::Held(step) => *self = Stage::Delivered(step),
            other => {
                *self = other;
                return Err(Impossible);
            }
        }
        self.on_server().ok_or(Impossible)
    }

    /// The delivered step `step` was answered.
    pub(super) fn reply(&mut self, step: StepId, reply: Reply) -> Result<(), Impossible> {
        match std::mem::replace(self, Stage::Running) {
            Stage::Delivered(delivered) if delivered.id == step => {
                *self = Stage::Replied(delivered, reply);
                Ok(())
            }
            other => {
                *self = other;
                Err(Impossible)
            }
        }
    }

    /// The reply goes to the application, which runs from then on.
    pub(super) fn hand_out(&mut self) -> Result<(Box<Step>, Reply), Impossible> {
        match std::mem::replace(self, Stage::Running) {
            Stage::Replied(step, reply) => Ok((step, reply)),
            other => {
                *self = other;
                Err(Impossible)
            }
        }
    }

    /// Nothing came of it for so long that it must be waiting.
    pub(super) fn stall(&mut self, turn: u64) -> Result<(), Impossible> {
        match self {
            Stage::Running => *self = Stage::Stalled { turn },
            _ => return Err(Impossible),
        }
        Ok(())
    }

    /// Something shows that it does not wait any more.
    pub(super) fn wake(&mut self) -> Result<(), Impossible> {
        match self {
            Stage::Stalled { .. } => *self = Stage::Running,
            _ => return Err(Impossible),
        }
        Ok(())
    }

    /// It is answered, and its transaction is over.
    pub(super) fn finish(&mut self) -> Result<(), Impossible> {
        match self {
            Stage::Running => *self = Stage::Done,
            _ => return Err(Impossible),
        }
        Ok(())
    }

    /// The step that is held.
    pub(super) fn held(&self) -> Option<&Step> {
        match self {
            Stage::Held(step) => Some(step),
            _ => None,
        }
    }

    /// The step that was delivered and whose reply the application does not have.
    pub(super) fn on_server(&self) -> Option<&Step> {
        match self {
            Stage::Delivered(step) | Stage::Replied(step, _) => Some(step),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    const STEP: u64 = 3;

    /// One of each stage, all with the same step.
    fn stages() -> [Stage; 6] {
        let step = || Box::new(sample::step(1, STEP, "select v from t"));
        [
            Stage::Running,
            Stage::Held(step()),
            Stage::Delivered(step()),
            Stage::Replied(step(), sample::reply()),
            Stage::Stalled { turn: 1 },
            Stage::Done,
        ]
    }

    /// The stages from which `go` leads somewhere, with those to which it does.
    fn ways(go: impl Fn(&mut Stage) -> bool) -> Vec<(Stage, Stage)> {
        let tried = stages().into_iter().filter_map(|from| {
            let mut to = from.clone();
            let is_possible = go(&mut to);
            assert!(is_possible || to == from, "a refusal changes nothing");
            is_possible.then_some((from, to))
        });
        tried.collect()
    }

    #[test]
    fn there_are_the_ways_that_are_drawn_and_no_others() {
        let [running, held, delivered, replied, stalled, done] = stages();
        let step = || Box::new(sample::step(1, STEP, "select v from t"));
        let id = step().id;
        assert_eq!(
            ways(|stage| stage.hold(step()).is_ok()),
            [
                (running.clone(), held.clone()),
                (stalled.clone(), held.clone())
            ]
        );
        assert_eq!(
            ways(|stage| stage.withdraw(id).is_ok()),
            [(held.clone(), running.clone())]
        );
        assert_eq!(
            ways(|stage| stage.deliver().is_ok()),
            [(held, delivered.clone())]
        );
        assert_eq!(
            ways(|stage| stage.reply(id, sample::reply()).is_ok()),
            [(delivered, replied.clone())]
        );
        assert_eq!(
            ways(|stage| stage.hand_out().is_ok()),
            [(replied, running.clone())]
        );
        assert_eq!(
            ways(|stage| stage.stall(1).is_ok()),
            [(running.clone(), stalled.clone())]
        );
        assert_eq!(
            ways(|stage| stage.wake().is_ok()),
            [(stalled, running.clone())]
        );
        assert_eq!(ways(|stage| stage.finish().is_ok()), [(running, done)]);
    }

    #[test]
    fn the_reply_to_another_step_and_the_end_of_another_connection_are_refused() {
        let [_, mut held, mut delivered, ..] = stages();
        let other = sample::step(2, STEP, "").id;
        assert_eq!(held.withdraw(other), Err(Impossible));
        assert_eq!(delivered.reply(other, sample::reply()), Err(Impossible));
    }

    #[test]
    fn a_step_wakes_only_who_waited() {
        let [mut running, _, _, _, mut stalled, _] = stages();
        let step = || Box::new(sample::step(1, STEP, ""));
        assert_eq!(running.hold(step()), Ok(false));
        assert_eq!(stalled.hold(step()), Ok(true));
    }
}
