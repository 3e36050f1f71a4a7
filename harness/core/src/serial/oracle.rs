//! The oracle: it knows serial runs, and says which of them explains a run of calls at once.
//!
//! The one idea: an order's rows are a digest, computed once, so that a run is compared with all
//! orders by a few numbers; cells are looked at only where nothing explains it.
//!
//! Orders may be run when they are needed: [`Explanation::Missing`](super::Explanation::Missing) names those that could still
//! explain a run, and nothing is accused before all of them are known. Before an accusation is told
//! to anybody, repeat those that are [`Oracle::unrepeated`] and ask again: what they show to be noise is hidden
//! then, and the accusation may be gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::answer::Ending;

use super::digest::Digest;
use super::mask::{Mask, Unrepeatable};
use super::order::{Atomic, Order, TooManyOrders, orders};
use super::run::{Concurrent, SerialRun};

mod explain;

/// What of an answer decides, beside its ending and its named reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compared {
    /// Nothing: a body that fits no order where rows do is named beside the explanation.
    #[default]
    Endings,
    /// The body, too: the contract says that it is the same for the same content.
    Bodies,
}

/// Serial runs of one program, and what of them is compared.
#[derive(Debug)]
pub struct Oracle {
    orders: Vec<Order>,
    compared: Compared,
    mask: Mask,
    known: BTreeMap<Order, Known>,
    ruled_out: BTreeSet<Order>,
}

#[derive(Debug)]
struct Known {
    run: SerialRun,
    digest: Digest,
    is_repeated: bool,
}

impl Oracle {
    /// An oracle for a program whose actors' stories have these lengths; it knows no run.
    ///
    /// # Errors
    /// Where there are more than [`ORDERS_LIMIT`](super::ORDERS_LIMIT) orders.
    pub fn new(
        stories: &[usize],
        atomic: Atomic,
        compared: Compared,
        mask: Mask,
    ) -> Result<Self, TooManyOrders> {
        Ok(Oracle {
            orders: orders(stories, atomic)?,
            compared,
            mask,
            known: BTreeMap::new(),
            ruled_out: BTreeSet::new(),
        })
    }

    /// Every order of the program, those of the fewest calls first.
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }

    /// The run of an order, if it is known.
    pub fn run(&self, order: &Order) -> Option<&SerialRun> {
        self.known.get(order).map(|known| &known.run)
    }

    /// What is hidden.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// Takes the first run of an order.
    pub fn add(&mut self, run: SerialRun) {
        debug_assert_eq!(
            run.order.0.len(),
            run.told.len(),
            "each call was told something"
        );
        let grew = self.mask.settle(&run.rows);
        let digest = Digest::of(&run.rows, &self.mask);
        let order = run.order.clone();
        let known = Known {
            run,
            digest,
            is_repeated: false,
        };
        self.known.insert(order, known);
        if grew {
            self.digest_again();
        }
    }

    /// Takes note that an order cannot be run: a call of it needs what an earlier one of its actor
    /// did not bring there. It explains nothing.
    pub fn rule_out(&mut self, order: Order) {
        self.ruled_out.insert(order);
    }

    /// Takes another run of an order, with its sequences moved on and more than a second later, and
    /// hides what differs; the first run of an order is [added](Self::add).
    ///
    /// # Errors
    /// Where it differs in what cannot be noise.
    pub fn repeat(&mut self, second: SerialRun) -> Result<(), Unrepeatable> {
        let Some(Known { run: first, .. }) = self.known.get(&second.order) else {
            self.add(second);
            return Ok(());
        };
        let told = first.told.iter().zip(&second.told);
        for (call, (one, other)) in first.order.0.iter().zip(told.clone()) {
            if kind(one.ending) != kind(other.ending) {
                return Err(Unrepeatable::Answer {
                    call: *call,
                    first: one.reply.clone(),
                    second: other.reply.clone(),
                });
            }
        }
        for (call, (one, other)) in first.order.0.iter().zip(told) {
            self.mask.learn_told(*call, one, other);
        }
        let before = self.mask.clone();
        let learned = self.mask.learn(&first.rows, &second.rows);
        if self.mask != before {
            self.digest_again();
        }
        if let Some(known) = self.known.get_mut(&second.order) {
            known.is_repeated = learned.is_ok();
        }
        learned
    }

    /// The orders that could have explained `run` and were run only once: to be repeated before
    /// anybody is accused.
    pub fn unrepeated(&self, run: &Concurrent) -> Vec<Order> {
        let known = self
            .known
            .iter()
            .filter(|(order, known)| !known.is_repeated && run.admits_without_refusals(order));
        known.map(|(order, _)| order.clone()).collect()
    }

    fn digest_again(&mut self) {
        for known in self.known.values_mut() {
            known.digest = Digest::of(&known.run.rows, &self.mask);
        }
    }
}

/// The kind of an ending, whatever made it unknown.
fn kind(ending: Ending) -> Option<Ending> {
    match ending {
        Ending::Unknown(_) => None,
        known => Some(known),
    }
}
