//! What to try next where a choice is to be made: rules 3 to 5 of the search.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use purchase_service::order::Refusal;

use super::fit::Fit;
use super::part::{Claim, Op, Part};
use super::position::Position;
use crate::model::Observed;

impl Position<'_> {
    /// The choices that need to be tried, the likeliest last.
    pub(super) fn choices(&self) -> Vec<usize> {
        let mut certain: Vec<_> = self
            .open
            .iter()
            .copied()
            .filter(|index| {
                let op = &self.part.ops[*index];
                op.is_certain() && self.state.fit(self.part, op) == Fit::Buys
            })
            .collect();
        certain.sort_by_key(|index| self.part.ops[*index].deadline_ns);
        let mut first_by_class: HashMap<Class, usize> = HashMap::new();
        for index in certain {
            let class = self.class(&self.part.ops[index]);
            first_by_class.entry(class).or_insert(index);
        }
        let mut purchases: Vec<_> = first_by_class.drain().map(|(_, op)| op).collect();
        purchases.sort_by_key(|op| Reverse((self.part.ops[*op].deadline_ns, *op)));

        let wanted = self.wanted();
        for index in &self.open {
            let op = &self.part.ops[*index];
            let may_buy = !op.is_certain() && self.state.can_buy(self.part, op);
            if may_buy && wanted.include(self.part, op) && self.leaves_enough(op) {
                first_by_class.entry(self.class(op)).or_insert(*index);
            }
        }
        let mut choices: Vec<_> = first_by_class.into_values().collect();
        choices.sort_unstable_by_key(|op| Reverse(*op));
        choices.extend(purchases);
        choices
    }

    /// Rule 5: whether an unknown purchase leaves what the certain ones to come need.
    fn leaves_enough(&self, op: &Op) -> bool {
        let item = &self.tally.items[op.item];
        let wallet = &self.tally.wallets[op.user];
        let units = usize::try_from(self.state.stock[op.item]).unwrap_or(usize::MAX);
        let balance = self.state.balance[op.user] - self.part.price(op);
        let is_possible = |index: &usize| {
            let receipt = &self.part.ops[*index];
            let is_told = self.is_done(*index) || receipt.key.is_some();
            let leaves = balance - self.part.price(receipt);
            is_told || receipt.left().is_none_or(|left| left <= leaves)
        };
        units > item.own
            && i128::from(balance) >= wallet.own_cost
            && self.part.wallets[op.user].receipts.iter().all(is_possible)
    }

    /// Rule 3: operations of one class can trade places.
    fn class(&self, op: &Op) -> Class {
        let wallet = &self.tally.wallets[op.user];
        let purse = &self.part.wallets[op.user];
        let is_shared = |key: usize| {
            self.part.keys[key]
                .iter()
                .filter(|op| !self.is_done(**op))
                .count()
                > 1
        };
        let is_free = self.part.price(op) == 0;
        let is_alone = match op.claim {
            Claim::Unknown if is_free => true,
            Claim::Unknown => {
                let least = i128::from(self.state.balance[op.user]) - wallet.unknown_cost;
                wallet.certain == 0
                    && purse
                        .floor
                        .map_or(least >= 0, |floor| least == i128::from(floor))
            }
            _ => wallet.operations == 1,
        };
        if is_alone && !op.key.is_some_and(is_shared) {
            let ends = purse.floor.is_some() && !is_free;
            return Class::Alone {
                item: op.item,
                ends,
                is_certain: op.is_certain(),
            };
        }
        Class::Same {
            user: op.user,
            item: op.item,
            key: op.key,
            claim: op.claim,
        }
    }

    /// Rule 4: what the open answers that are still wrong may be waiting for. To name more than
    /// they wait for, as receipts that are right already, would be right too, and slower.
    fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::default();
        for index in &self.open {
            let op = &self.part.ops[*index];
            if !op.is_certain() {
                continue;
            }
            wanted.keys.extend(op.key);
            match op.claim {
                Claim::Refused(Observed::For(Refusal::OutOfStock)) => {
                    wanted.items.insert(op.item);
                }
                Claim::Refused(Observed::For(Refusal::InsufficientBalance)) => {
                    wanted.users.insert(op.user);
                }
                Claim::Refused(Observed::ForSomeReason) => {
                    wanted.items.insert(op.item);
                    wanted.users.insert(op.user);
                }
                Claim::Bought { .. } if self.state.fit(self.part, op) == Fit::Later => {
                    wanted.users.insert(op.user);
                }
                _ => {}
            }
        }
        wanted
    }
}

/// What makes two operations interchangeable.
#[derive(PartialEq, Eq, Hash)]
enum Class {
    /// Each has a wallet that nothing else looks at; whether its final balance is checked.
    Alone {
        item: usize,
        ends: bool,
        is_certain: bool,
    },
    /// They ask and claim the same.
    Same {
        user: usize,
        item: usize,
        key: Option<usize>,
        claim: Claim,
    },
}

/// The purchases of unknown outcome that could make an open answer right.
#[derive(Default)]
struct Wanted {
    items: HashSet<usize>,
    users: HashSet<usize>,
    keys: HashSet<usize>,
}

impl Wanted {
    fn include(&self, part: &Part, op: &Op) -> bool {
        part.wallets[op.user].is_delicate
            || self.items.contains(&op.item)
            || self.users.contains(&op.user)
            || op.key.is_some_and(|key| self.keys.contains(&key))
    }
}
