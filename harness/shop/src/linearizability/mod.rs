//! Whether a concurrent history can be ordered: the judge of everything that raced.
//!
//! A history is linearizable if its operations can be put in an order in which each takes
//! effect at one moment between its invocation and its completion (both included), and in which
//! the sequential shop of [`model`](crate::model) gives exactly the recorded answers. Items and
//! wallets are judged together. An acknowledgement or a refusal of the shop must be in the
//! order; a conflict, an overload and a request that was never sent did nothing; an unknown
//! outcome may be in the order at any time after its invocation, or not at all. Where final rows
//! are known, the order must lead to them.
//!
//! The idea is in `search`, with the proof of every short cut. A positive answer carries its
//! order, which anyone can replay on the model; a negative one the smallest facts that contradict
//! each other; a check that takes too long says so and claims nothing. It does no I/O and knows
//! nothing of SQL.

mod budget;
mod choices;
mod ending;
mod evident;
mod fit;
mod part;
mod partition;
mod position;
mod reason;
pub mod recording;
mod search;
mod tally;
mod witness;

use purchase_service::order::{ItemId, UserId};
use serde::Serialize;

pub use budget::Budget;
pub use recording::{LastRows, Malformed, Recording};

use part::Part;
use rowlock_core::verdict::Verdict;
use search::Found;

/// One thing that a recording says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// How an operation was answered, by its index.
    Operation(usize),
    /// The final stock of an item.
    Stock(ItemId),
    /// The final balance of a wallet.
    Balance(UserId),
}

/// Facts that cannot all be true of a right shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The facts. They contradict each other even if every other acknowledgement is taken for an
    /// unknown outcome, every other refusal did nothing and says nothing, and no other final row
    /// is known.
    pub facts: Vec<Fact>,
    /// Why, in one sentence. Operations are counted from 1.
    pub reason: String,
    /// Whether all smaller sets were tried. If not, still none of the facts can be spared, as
    /// far as the budget allowed to find out.
    pub is_smallest: bool,
}

/// What a check concluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// The history is linearizable: an order that the model confirms, by index. What did
    /// nothing, and what is unknown and need not have happened, is not in it.
    Linearizable(Vec<usize>),
    /// It is not.
    Contradicted(Contradiction),
    /// The budget was spent first.
    Inconclusive,
}

impl Conclusion {
    /// What this means for a run.
    pub fn verdict(&self) -> Verdict {
        match self {
            Conclusion::Linearizable(_) => Verdict::Valid,
            Conclusion::Contradicted(_) => Verdict::Violation,
            Conclusion::Inconclusive => Verdict::Inconclusive,
        }
    }
}

/// Decides whether `recording` is linearizable. Each part of it may spend `budget`.
pub fn check(recording: &Recording, budget: Budget) -> Conclusion {
    let parts = partition::partition(recording);
    if let Some(contradiction) = evident::find(recording) {
        let contradiction = witness::refine(recording, &parts, contradiction, budget);
        return Conclusion::Contradicted(contradiction);
    }
    let mut moments = Vec::new();
    let mut gave_up = false;
    for facts in parts {
        let part = Part::new(recording, &facts, |_| true);
        match search::search(&part, &mut budget.clone()) {
            Found::Order(order) => moments.extend(date(&part, &order)),
            Found::Nothing(_) => {
                let contradiction = witness::smallest(recording, &facts, budget);
                return Conclusion::Contradicted(contradiction);
            }
            Found::GaveUp => gave_up = true,
        }
    }
    if gave_up {
        return Conclusion::Inconclusive;
    }
    // Stable: within a part, what has the same moment keeps its order.
    moments.sort_by_key(|(moment_ns, _)| *moment_ns);
    Conclusion::Linearizable(moments.into_iter().map(|(_, index)| index).collect())
}

/// The earliest moment at which each operation of an order can have taken effect. Parts share
/// nothing but time, so that these moments merge their orders.
fn date(part: &Part, order: &[usize]) -> Vec<(u64, usize)> {
    let mut now_ns = 0;
    let dated = order.iter().map(|op| {
        let op = &part.ops[*op];
        now_ns = now_ns.max(op.invoked_ns);
        (now_ns, op.source)
    });
    dated.collect()
}
