//! A place in the search: what has been ordered so far, and what can come next.
//!
//! An operation is *open* once nothing that is still to come had to end before it began. Every
//! step of the search orders an open operation, and can be taken back.

use super::fit::{Fit, State};
use super::part::{Claim, Op, Part};
use super::tally::Tally;
use crate::model::Observed;
use purchase_service::order::Refusal;

/// What settling a position came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// Every certain operation is ordered.
    All,
    /// A choice is to be made.
    Choice,
    /// This operation's answer can never become right.
    Never(usize),
}

/// What can be known of a state without its order: which operations, and what each key left.
pub(super) type Signature = (Vec<u64>, Vec<Option<i64>>);

pub(super) struct Position<'a> {
    pub(super) part: &'a Part,
    pub(super) state: State,
    pub(super) tally: Tally,
    done: Vec<u64>,
    /// What was ordered, and whether it bought.
    trail: Vec<(usize, bool)>,
    /// The open operations that are not ordered.
    pub(super) open: Vec<usize>,
    /// The first operation, by invocation, that was not yet open.
    next: usize,
    /// The first place, by deadline, of a certain operation that may not be ordered.
    due: usize,
}

impl<'a> Position<'a> {
    pub(super) fn new(part: &'a Part) -> Self {
        Position {
            part,
            state: State::new(part),
            tally: Tally::new(part),
            done: vec![0; part.ops.len().div_ceil(64)],
            trail: Vec::new(),
            open: Vec::new(),
            next: 0,
            due: 0,
        }
    }

    pub(super) fn is_done(&self, op: usize) -> bool {
        self.done[op / 64] & (1 << (op % 64)) != 0
    }

    /// The operations ordered so far, in order.
    pub(super) fn order(&self) -> impl Iterator<Item = usize> {
        self.trail.iter().map(|(op, _)| *op)
    }

    pub(super) fn depth(&self) -> usize {
        self.trail.len()
    }

    pub(super) fn signature(&self) -> Signature {
        let keys = self.state.keys.iter();
        let lefts = keys.map(|used| used.map(|used| used.left)).collect();
        (self.done.clone(), lefts)
    }

    /// How many operations are open: what a look at the position costs, for the budget alone.
    pub(super) fn width(&self) -> usize {
        self.open.len()
    }

    /// The open operation that is due first.
    pub(super) fn first_due(&self) -> Option<usize> {
        let due = self.part.by_deadline[self.due..].iter();
        due.copied().find(|op| !self.is_done(*op))
    }

    /// Orders an open operation next.
    pub(super) fn take(&mut self, op: usize) {
        self.open.retain(|other| *other != op);
        let buys = match self.part.ops[op].claim {
            Claim::Unknown => true,
            _ => self.state.fit(self.part, &self.part.ops[op]) == Fit::Buys,
        };
        self.record(op, buys);
    }

    fn record(&mut self, index: usize, buys: bool) {
        let op = &self.part.ops[index];
        if buys {
            self.state.buy(self.part, op);
        }
        self.tally.remove(self.part, op);
        self.done[index / 64] |= 1 << (index % 64);
        self.trail.push((index, buys));
    }

    /// Takes everything back that was ordered after `depth` operations.
    pub(super) fn back_to(&mut self, depth: usize) {
        for (index, bought) in self.trail.drain(depth..).rev() {
            let op = &self.part.ops[index];
            if bought {
                self.state.give_back(self.part, op);
            }
            self.tally.add(self.part, op);
            self.done[index / 64] &= !(1 << (index % 64));
        }
        self.open.clear();
        (self.next, self.due) = (0, 0);
        self.widen();
    }

    /// Opens what can come next. True while a certain operation is to come.
    fn widen(&mut self) -> bool {
        while let Some(op) = self.part.by_deadline.get(self.due) {
            if !self.is_done(*op) {
                break;
            }
            self.due += 1;
        }
        let deadline_ns = match self.part.by_deadline.get(self.due) {
            Some(op) => self.part.ops[*op].deadline_ns,
            None => u64::MAX,
        };
        while let Some(op) = self.part.ops.get(self.next) {
            if op.invoked_ns > deadline_ns {
                break;
            }
            if !self.is_done(self.next) {
                self.open.push(self.next);
            }
            self.next += 1;
        }
        self.due < self.part.by_deadline.len()
    }

    /// Orders whatever can be ordered without a choice (see the module above). `spent` grows with
    /// what it costs, for the budget alone.
    pub(super) fn settle(&mut self, spent: &mut u64) -> Settled {
        while self.widen() {
            *spent += self.open.len() as u64;
            let depth = self.depth();
            let open = std::mem::take(&mut self.open);
            let mut kept = Vec::with_capacity(open.len());
            for index in open {
                let op = &self.part.ops[index];
                if !op.is_certain() {
                    kept.push(index);
                    continue;
                }
                match self.state.fit(self.part, op) {
                    Fit::Seen => self.record(index, false),
                    Fit::Buys if self.can_go_first(op) => self.record(index, true),
                    Fit::Buys | Fit::Later => kept.push(index),
                    Fit::Never => return Settled::Never(index),
                }
            }
            self.open = kept;
            if self.depth() == depth {
                return Settled::Choice;
            }
        }
        Settled::All
    }

    /// Rule 2: whether a purchase that is right now can go before everything else. Each alternative
    /// is a reason of its own: with one less the verdicts are the same, and the search is longer.
    fn can_go_first(&self, op: &Op) -> bool {
        let item = &self.tally.items[op.item];
        let wallet = &self.tally.wallets[op.user];
        let units = usize::try_from(self.state.stock[op.item]).unwrap_or(usize::MAX);
        let stock_is_free =
            item.watchers == 0 || units > item.buyers || self.another_takes_the_last_unit(op);
        let states = usize::from(op.left().is_some());
        let balance_is_free = self.part.price(op) == 0
            || wallet.stated == states
            || (states == 1 && wallet.stated_free == 0);
        stock_is_free && balance_is_free && self.key_is_free(op)
    }

    /// Whether each refusal that may come before `op` and says that the item was in stock is
    /// over before another purchase begins, so that there is a unit for that one, too.
    fn another_takes_the_last_unit(&self, op: &Op) -> bool {
        let goods = &self.part.items[op.item];
        let is_before = |index: &&usize| {
            !self.is_done(**index) && self.part.ops[**index].invoked_ns <= op.deadline_ns
        };
        let watchers = goods.watchers.iter().filter(is_before);
        let over_ns = watchers
            .map(|index| self.part.ops[*index].deadline_ns)
            .max();
        over_ns.is_none_or(|over_ns| {
            goods
                .last_begins_ns
                .is_some_and(|begins_ns| begins_ns > over_ns)
        })
    }

    fn key_is_free(&self, op: &Op) -> bool {
        let agrees = |other: &usize| {
            let other_op = &self.part.ops[*other];
            let is_same = (other_op.user, other_op.item) == (op.user, op.item);
            self.is_done(*other)
                || match other_op.claim {
                    Claim::Unknown
                    | Claim::Refused(Observed::For(Refusal::KeyReused) | Observed::ForSomeReason) => {
                        true
                    }
                    Claim::Bought { .. } => is_same && other_op.claim == op.claim,
                    Claim::Refused(_) => false,
                }
        };
        op.key
            .is_none_or(|key| self.part.keys[key].iter().all(agrees))
    }
}
