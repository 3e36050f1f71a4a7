//! Counts the steps of a target and picks one: a pure state that the proxy's gate asks.
//!
//! A connection that is opened only for the request may begin with steps that belong to the
//! connection and not to the request; which worker has one open already is chance. So on a new
//! connection nothing is counted before the step that comes next when nothing is broken. What comes
//! only now and then is never counted, unless it is that step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::steps::shape;
use rowlock_proxy::{SessionId, Step, StepId, Verb};

/// Picks the step with a chosen place among those that run something.
#[derive(Debug)]
pub(super) struct Picker {
    /// The shapes of the steps up to the chosen one, where they are known.
    expected: Vec<String>,
    /// The shapes of the steps that come only now and then.
    sporadic: BTreeSet<String>,
    /// The chosen place, from 0.
    place: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How many steps have been counted.
    count: usize,
    picked: Option<StepId>,
    /// The connections whose steps count.
    begun: BTreeSet<SessionId>,
    /// The gate asks for a step and again for its reply; a step is looked at once.
    latest: BTreeMap<SessionId, u64>,
}

impl Picker {
    /// Picks step number `place`, from 1, of steps that are `expected` to begin so, on the
    /// connections that are `open` and on others.
    pub(super) fn new(
        place: usize,
        expected: &[Step],
        sporadic: BTreeSet<String>,
        open: BTreeSet<SessionId>,
    ) -> Self {
        Picker {
            sporadic,
            expected: expected.iter().take(place).map(shape).collect(),
            place: place.saturating_sub(1),
            state: Mutex::new(State {
                count: 0,
                picked: None,
                begun: open,
                latest: BTreeMap::new(),
            }),
        }
    }

    /// Whether `step` is the chosen one.
    pub(super) fn picks(&self, step: &Step) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.picked.is_some() || !step.kind.runs() {
            return state.picked == Some(step.id);
        }
        let StepId { session, number } = step.id;
        let latest = state.latest.get(&session);
        if latest.is_some_and(|latest| number <= *latest) {
            return false;
        }
        state.latest.insert(session, number);
        let next = self.expected.get(state.count);
        let is_another = next.is_some_and(|next| *next != shape(step));
        // A driver's own tidying, too, although no trace has shown it.
        let is_sporadic =
            || step.verb() == Verb::Deallocate || self.sporadic.contains(&shape(step));
        if is_another && is_sporadic() {
            return false;
        }
        if !state.begun.contains(&session) {
            if is_another {
                return false;
            }
            state.begun.insert(session);
        }
        if state.count < self.place {
            state.count += 1;
            return false;
        }
        state.picked = Some(step.id);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rowlock_proxy::{Statement, StepKind};

    fn step(session: u64, number: u64, kind: StepKind) -> Step {
        step_of(session, number, kind, "select 1")
    }

    fn step_of(session: u64, number: u64, kind: StepKind, sql: &str) -> Step {
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
                sql: sql.into(),
                parameters: Vec::new(),
            }],
        }
    }

    #[test]
    fn the_second_step_is_picked_with_its_reply_and_no_other() {
        let picker = Picker::new(2, &[], BTreeSet::new(), BTreeSet::new());
        let first = step(1, 1, StepKind::Query);
        let prepare = step(1, 2, StepKind::Prepare);
        let second = step(2, 1, StepKind::Execute);
        let third = step(1, 3, StepKind::Execute);
        let answers = [&first, &first, &prepare, &second, &third, &second, &third]
            .map(|step| picker.picks(step));
        assert_eq!(answers, [false, false, false, true, false, true, false]);
    }

    #[test]
    fn what_a_new_connection_begins_with_is_not_counted() {
        let query = |session, number, sql| step_of(session, number, StepKind::Query, sql);
        let lock = "select stock from item where id = 1 for update";
        let expected = [query(1, 1, "begin"), query(1, 2, lock)];
        let open = BTreeSet::from([SessionId(1)]);
        let steps = |session| {
            let zone = query(session, 1, "set time zone 'UTC'");
            let begin = query(session, 2, "begin");
            let lock = query(session, 3, "select stock from item where id = 7 for update");
            [zone, begin, lock]
        };
        let picks = |session| {
            let picker = Picker::new(2, &expected, BTreeSet::new(), open.clone());
            steps(session).map(|step| picker.picks(&step))
        };
        assert_eq!(picks(2), [false, false, true]);
        assert_eq!(picks(1), [false, true, false], "what was open counts whole");
    }

    #[test]
    fn what_comes_only_now_and_then_is_not_counted() {
        let query = |number, sql| step_of(1, number, StepKind::Query, sql);
        let expected = [query(1, "begin"), query(2, "rollback")];
        let sporadic = BTreeSet::from([shape(&query(1, "select 1"))]);
        let open = BTreeSet::from([SessionId(1)]);
        let picker = Picker::new(2, &expected, sporadic, open);
        let steps = ["begin", "select 7", "deallocate all", "rollback"];
        let steps = (1..).zip(steps).map(|(number, sql)| query(number, sql));
        let picks: Vec<_> = steps.map(|step| picker.picks(&step)).collect();
        assert_eq!(picks, [false, false, false, true]);
    }
}
