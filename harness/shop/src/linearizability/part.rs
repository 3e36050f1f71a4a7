//! One part of a history in the dense form that the search works on.
//!
//! Items, wallets and keys are numbered, so that the state is three short vectors. What says
//! nothing of the shop (a conflict, an overload) is left out: it did nothing.
//!
//! A part can be built from fewer facts than the recording has. Then an acknowledgement that is
//! left out becomes an unknown outcome, a refusal does nothing and says nothing, and a final row
//! is not checked. Each of these allows more orders and forbids none: if the part is impossible,
//! so is the recording.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use purchase_service::order::{ItemId, Money, Refusal, UserId};

use super::Fact;
use super::recording::Recording;
use crate::history::Completion;
use crate::model::{self, Observed};

/// What an operation's answer claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Claim {
    /// An acknowledged purchase and what its receipt states.
    Bought {
        price: Option<i64>,
        left: Option<i64>,
    },
    /// A refusal of the shop's.
    Refused(Observed),
    /// Nothing: it may have bought at any time after its invocation, or never.
    Unknown,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Op {
    /// Its index in the recording.
    pub(super) source: usize,
    pub(super) user: usize,
    pub(super) item: usize,
    pub(super) key: Option<usize>,
    pub(super) invoked_ns: u64,
    /// When it must have happened; `u64::MAX` where the outcome is unknown.
    pub(super) deadline_ns: u64,
    pub(super) claim: Claim,
}

impl Op {
    /// Whether an order of the part must contain it.
    pub(super) fn is_certain(&self) -> bool {
        self.claim != Claim::Unknown
    }

    /// The balance that its receipt states.
    pub(super) fn left(&self) -> Option<i64> {
        match self.claim {
            Claim::Bought { left, .. } => left,
            _ => None,
        }
    }

    /// Whether it says that the item was in stock without taking a unit.
    pub(super) fn needs_stock(&self) -> bool {
        matches!(
            self.claim,
            Claim::Refused(Observed::For(
                Refusal::InsufficientBalance | Refusal::UnknownUser
            ))
        )
    }
}

#[derive(Debug)]
pub(super) struct Goods {
    /// Price and initial stock, if the item exists.
    pub(super) row: Option<(i64, i64)>,
    /// The final stock, if it is checked: no purchase can go below it.
    pub(super) floor: Option<i64>,
    /// The refusals that say that it was in stock.
    pub(super) watchers: Vec<usize>,
    /// When the last purchase began that certainly takes a unit of its own.
    pub(super) last_begins_ns: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Purse {
    /// The initial balance, if the wallet exists.
    pub(super) balance: Option<i64>,
    /// The final balance, if it is checked.
    pub(super) floor: Option<i64>,
    /// Whether a receipt under a shared key tells when one of its purchases was made. If more
    /// wallets counted as such, more would be tried, in vain.
    pub(super) is_delicate: bool,
    /// The receipts that state its balance.
    pub(super) receipts: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Part {
    /// By invocation.
    pub(super) ops: Vec<Op>,
    /// The certain operations, by deadline.
    pub(super) by_deadline: Vec<usize>,
    pub(super) items: Vec<Goods>,
    pub(super) wallets: Vec<Purse>,
    /// The operations that bear each key.
    pub(super) keys: Vec<Vec<usize>>,
}

impl Part {
    /// Builds the part of `recording` that `facts` are about, with only those known that
    /// `is_known`.
    pub(super) fn new(
        recording: &Recording,
        facts: &[Fact],
        is_known: impl Fn(Fact) -> bool,
    ) -> Part {
        let mut items = Numbers::default();
        let mut wallets = Numbers::default();
        let mut keys = Numbers::default();
        let mut ops = Vec::new();
        for fact in facts {
            match *fact {
                Fact::Operation(source) => {
                    let operation = &recording.operations[source];
                    let order = operation.request.order;
                    let Some(claim) = claim(&operation.completion, is_known(*fact)) else {
                        continue;
                    };
                    ops.push(Op {
                        source,
                        user: wallets.of(order.user_id),
                        item: items.of(order.item_id),
                        key: operation.request.key.as_deref().map(|key| keys.of(key)),
                        invoked_ns: operation.invoked_ns,
                        deadline_ns: match claim {
                            Claim::Unknown => u64::MAX,
                            _ => operation.completed_ns,
                        },
                        claim,
                    });
                }
                Fact::Stock(item_id) => drop(items.of(item_id)),
                Fact::Balance(user_id) => drop(wallets.of(user_id)),
            }
        }
        ops.sort_by_key(|op| (op.invoked_ns, op.source));
        let mut part = Part {
            by_deadline: (0..ops.len()).filter(|op| ops[*op].is_certain()).collect(),
            keys: vec![Vec::new(); keys.names.len()],
            items: items
                .names
                .into_iter()
                .map(|id| goods(recording, id, &is_known))
                .collect(),
            wallets: wallets
                .names
                .into_iter()
                .map(|id| purse(recording, id, &is_known))
                .collect(),
            ops,
        };
        part.by_deadline.sort_by_key(|op| part.ops[*op].deadline_ns);
        part.index();
        part
    }

    /// Notes at items, wallets and keys what concerns them.
    fn index(&mut self) {
        for (index, op) in self.ops.iter().enumerate() {
            if let Some(key) = op.key {
                self.keys[key].push(index);
            }
            if op.needs_stock() {
                self.items[op.item].watchers.push(index);
            }
            if op.left().is_some() {
                self.wallets[op.user].receipts.push(index);
            }
        }
        for op in &self.ops {
            if self.is_own_purchase(op) {
                self.items[op.item].last_begins_ns = Some(op.invoked_ns);
            }
        }
        for bearers in self.keys.iter().filter(|bearers| bearers.len() > 1) {
            if bearers.iter().any(|op| self.ops[*op].left().is_some()) {
                for op in bearers {
                    self.wallets[self.ops[*op].user].is_delicate = true;
                }
            }
        }
    }

    /// Whether the operation is acknowledged, and no other one can mean its purchase.
    pub(super) fn is_own_purchase(&self, op: &Op) -> bool {
        let is_alone = |key: usize| self.keys[key].len() == 1;
        matches!(op.claim, Claim::Bought { .. }) && op.key.is_none_or(is_alone)
    }

    /// What a unit of `op`'s item costs; 0 where there is no such item.
    pub(super) fn price(&self, op: &Op) -> i64 {
        self.items[op.item].row.map_or(0, |(price, _)| price)
    }
}

fn goods(recording: &Recording, id: ItemId, is_known: impl Fn(Fact) -> bool) -> Goods {
    let row = recording.initial.items.get(&id);
    let floor = recording.last.stocks.get(&id).copied();
    Goods {
        row: row.map(|item| (item.price.0, item.stock)),
        floor: floor.filter(|_| is_known(Fact::Stock(id))),
        watchers: Vec::new(),
        last_begins_ns: None,
    }
}

fn purse(recording: &Recording, id: UserId, is_known: impl Fn(Fact) -> bool) -> Purse {
    let floor = recording.last.balances.get(&id).map(|money| money.0);
    Purse {
        balance: recording.initial.wallets.get(&id).map(|money| money.0),
        floor: floor.filter(|_| is_known(Fact::Balance(id))),
        is_delicate: false,
        receipts: Vec::new(),
    }
}

/// What is left of a completion; `None` where it did nothing and says nothing.
fn claim(completion: &Completion, is_known: bool) -> Option<Claim> {
    match completion {
        Completion::Info(_) => Some(Claim::Unknown),
        Completion::Ok(_) if !is_known => Some(Claim::Unknown),
        Completion::Ok(receipt) => Some(Claim::Bought {
            price: receipt.price.map(|Money(price)| price),
            left: receipt.balance_left.map(|Money(left)| left),
        }),
        Completion::Fail(told) => model::observed(told)
            .filter(|_| is_known)
            .map(Claim::Refused),
    }
}

/// Numbers names from 0 in the order in which they come.
struct Numbers<T> {
    numbers: HashMap<T, usize>,
    names: Vec<T>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Numbers {
            numbers: HashMap::new(),
            names: Vec::new(),
        }
    }
}

impl<T: Copy + Eq + Hash> Numbers<T> {
    fn of(&mut self, name: T) -> usize {
        match self.numbers.entry(name) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.names.push(name);
                *new.insert(self.names.len() - 1)
            }
        }
    }
}
