//! What a run told its clients, and what it left.

use std::collections::{BTreeMap, BTreeSet};

use crate::answer::{Ending, Unknown};
use crate::rows::Rows;

use super::order::{CallIndex, Order};

/// What the client of one call was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// How it ended.
    pub ending: Ending,
    /// Why it was refused, where the contract names it.
    pub reason: Option<String>,
    /// The body, in whatever form is the same for the same content, if it is to be compared.
    pub body: Option<String>,
    /// The answer in a few words, for people only: `409: sold out`.
    pub reply: String,
}

/// A run of calls one after another, from the program's rows.
///
/// A call that cannot be made, since an earlier one of its actor did not bring what it needs,
/// leaves no run of this order: the order without it says the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialRun {
    /// The calls, in the order in which they were made.
    pub order: Order,
    /// What each of them was told, in the same order.
    pub told: Vec<Told>,
    /// The rows afterwards.
    pub rows: Rows,
}

/// A run of a program's calls at once, from the same rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrent {
    /// What each call was told; one that was never made is not here.
    pub told: BTreeMap<CallIndex, Told>,
    /// Actors between whose calls no other's may come, whatever the orders allow.
    pub undivided: BTreeSet<usize>,
    /// The rows afterwards, once everything was at rest.
    pub rows: Rows,
}

impl Told {
    /// Whether a client of the run can have been told this by a serial run that told `serial`,
    /// reasons and bodies aside.
    ///
    /// What the run does not know may have been anything. Where the serial run does not know, only
    /// a server error is an answer at all, and it is not `Ok`; that a run refuses or gives way where
    /// the serial order fails is no accusation.
    pub(super) fn ends_like(&self, serial: &Told) -> bool {
        match (self.ending, serial.ending) {
            (Ending::Unknown(_), _) => true,
            (run, Ending::Unknown(Unknown::ServerError)) => run != Ending::Ok,
            (_, Ending::Unknown(_)) => true,
            (run, serial) => run == serial,
        }
    }

    /// Whether the two name no different reasons.
    pub(super) fn has_reason_of(&self, other: &Told) -> bool {
        agree(self.reason.as_deref(), other.reason.as_deref())
    }

    /// Whether the two have no different bodies; an unknown outcome has none.
    pub(super) fn has_body_of(&self, other: &Told) -> bool {
        let is_unknown = |told: &Told| matches!(told.ending, Ending::Unknown(_));
        is_unknown(self) || is_unknown(other) || agree(self.body.as_deref(), other.body.as_deref())
    }
}

/// What is not said contradicts nothing.
fn agree(one: Option<&str>, other: Option<&str>) -> bool {
    one.zip(other).is_none_or(|(one, other)| one == other)
}

impl Concurrent {
    /// Whether `order` can explain the run by its calls alone: those in it were made, and those
    /// that are not gave way or are unknown. Only such orders need to be run.
    pub fn admits(&self, order: &Order) -> bool {
        self.leaves_out(order, |ending| {
            matches!(ending, Ending::GaveWay | Ending::Unknown(_))
        })
    }

    /// The same where calls that were refused may be left out, too.
    pub(super) fn admits_without_refusals(&self, order: &Order) -> bool {
        self.leaves_out(order, |ending| ending != Ending::Ok)
    }

    fn leaves_out(&self, order: &Order, may_leave_out: impl Fn(Ending) -> bool) -> bool {
        let made = order.0.iter().all(|call| self.told.contains_key(call));
        let is_whole = |actor: &usize| order.keeps_together(*actor);
        made && self.undivided.iter().all(is_whole)
            && self
                .told
                .iter()
                .all(|(call, told)| order.contains(*call) || may_leave_out(told.ending))
    }

    /// The calls that were made and are not in `order`.
    pub(super) fn left_out(&self, order: &Order) -> Vec<CallIndex> {
        let calls = self.told.keys().copied();
        calls.filter(|call| !order.contains(*call)).collect()
    }
}
