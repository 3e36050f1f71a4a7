//! Counts the steps of a target and picks one: a pure state that the proxy's gate asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rowlock_proxy::{SessionId, Step, StepId};

/// Picks the step with a chosen place among those that run something.
#[derive(Debug)]
pub(super) struct Picker(Mutex<State>);

#[derive(Debug)]
struct State {
    /// How many steps go by before the chosen one.
    remaining: usize,
    picked: Option<StepId>,
    /// The gate asks for a step and again for its reply; a step is counted once.
    latest: BTreeMap<SessionId, u64>,
}

impl Picker {
    /// Picks step number `place`, from 1.
    pub(super) fn new(place: usize) -> Self {
        let remaining = place.saturating_sub(1);
        Picker(Mutex::new(State {
            remaining,
            picked: None,
            latest: BTreeMap::new(),
        }))
    }

    /// Whether `step` is the chosen one.
    pub(super) fn picks(&self, step: &Step) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.picked.is_some() || !step.kind.runs() {
            return state.picked == Some(step.id);
        }
        let StepId { session, number } = step.id;
        let latest = state.latest.get(&session);
        if latest.is_some_and(|latest| number <= *latest) {
            return false;
        }
        state.latest.insert(session, number);
        if state.remaining > 0 {
            state.remaining -= 1;
            return false;
        }
        state.picked = Some(step.id);
        true
    }
}

#[cfg(test)]
mod tests {
    use rowlock_proxy::{Statement, StepKind};

    use super::*;

    fn step(session: u64, number: u64, kind: StepKind) -> Step {
        Step {
            id: StepId {
                session: SessionId(session),
                number,
            },
            pid: None,
            transaction: 1,
            kind,
            state_before: None,
            statements: vec![Statement {
                sql: "select 1".into(),
                parameters: Vec::new(),
            }],
        }
    }

    #[test]
    fn the_second_step_is_picked_with_its_reply_and_no_other() {
        let picker = Picker::new(2);
        let first = step(1, 1, StepKind::Query);
        let prepare = step(1, 2, StepKind::Prepare);
        let second = step(2, 1, StepKind::Execute);
        let third = step(1, 3, StepKind::Execute);
        let answers = [&first, &first, &prepare, &second, &third, &second, &third]
            .map(|step| picker.picks(step));
        assert_eq!(answers, [false, false, false, true, false, true, false]);
    }
}
