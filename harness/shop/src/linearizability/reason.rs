//! Why a contradiction is one, in one sentence.
//!
//! It tells where the longest attempt at an order stuck: what came first, and what the model
//! would have answered next.

use super::Fact;
use super::part::{Claim, Op, Part};
use super::recording::Recording;
use super::search::Stuck;
use crate::history::{Completion, Operation, Receipt, Refusal};
use crate::model::{self, Answer, State};

/// How many operations a sentence names.
const MOST_NAMED: usize = 6;

pub(super) fn explain(recording: &Recording, part: &Part, known: &[Fact], stuck: &Stuck) -> String {
    let source = |op: &usize| part.ops[*op].source;
    let mut state = model::init(&recording.initial);
    for op in &stuck.order {
        // Every answer in the order is right; what matters is the state that they leave.
        let _ = state.advance(&recording.operations[source(op)].request);
    }
    let before: Vec<_> = stuck.order.iter().map(source).collect();
    let rows = rows(recording, known);
    match stuck.next {
        Some(op) => {
            let next = source(&op);
            let mut what = objection(&state, &recording.operations[next], next);
            if let Some(late) = too_late(part, stuck, op) {
                what += &format!("; {late} began only when it was over");
            }
            let sentence = match (cannot_be_ordered(known), before.is_empty()) {
                (Some(all), true) => format!("{all} cannot be ordered: {what}"),
                (Some(all), false) => {
                    format!("{all} cannot be ordered: after {}, {what}", list(&before))
                }
                (None, true) => what,
                (None, false) => format!("even after {}, {what}", list(&before)),
            };
            match rows.is_empty() {
                true => sentence,
                false => format!("{sentence}; in the end {}", rows.join(" and ")),
            }
        }
        None if before.is_empty() => {
            format!(
                "no purchases that may have happened explain that in the end {}",
                rows.join(" and ")
            )
        }
        None => format!(
            "after {}, no purchases that may have happened besides explain that in the end {}",
            list(&before),
            rows.join(" and ")
        ),
    }
}

/// The operations that could have changed what `next` is answered, had they begun in time.
fn too_late(part: &Part, stuck: &Stuck, next: usize) -> Option<String> {
    let next = &part.ops[next];
    let is_late = |(index, op): &(usize, &Op)| {
        let is_related = op.item == next.item
            || op.user == next.user
            || (op.key.is_some() && op.key == next.key);
        let may_buy = !matches!(op.claim, Claim::Refused(_));
        let is_ordered = stuck.order.contains(index);
        is_related && may_buy && !is_ordered && op.invoked_ns > next.deadline_ns
    };
    let late = part.ops.iter().enumerate().filter(is_late);
    let mut late: Vec<_> = late.map(|(_, op)| op.source).collect();
    late.sort_unstable();
    (!late.is_empty()).then(|| list(&late))
}

/// All known operations, if there are more than one.
fn cannot_be_ordered(known: &[Fact]) -> Option<String> {
    let operations = known.iter().filter_map(|fact| match fact {
        Fact::Operation(index) => Some(*index),
        Fact::Stock(_) | Fact::Balance(_) => None,
    });
    let operations: Vec<_> = operations.collect();
    (operations.len() > 1).then(|| list(&operations))
}

/// `operations 1, 2 and 3`, counted from 1.
fn list(indices: &[usize]) -> String {
    let names: Vec<_> = indices
        .iter()
        .map(|index| (index + 1).to_string())
        .collect();
    match names.as_slice() {
        [one] => format!("operation {one}"),
        [most @ .., last] if names.len() <= MOST_NAMED => {
            format!("operations {} and {last}", most.join(", "))
        }
        _ => {
            let first = names[..MOST_NAMED - 1].join(", ");
            format!("{} operations ({first}, …)", names.len())
        }
    }
}

fn rows(recording: &Recording, known: &[Fact]) -> Vec<String> {
    let row = |fact: &Fact| match fact {
        Fact::Operation(_) => None,
        Fact::Stock(item_id) => {
            let stock = recording.last.stocks.get(item_id)?;
            Some(match recording.initial.items.get(item_id) {
                Some(item) => format!(
                    "item {item_id} has a stock of {stock} (at first {})",
                    item.stock
                ),
                None => format!("there is an item {item_id}, which was not there at first"),
            })
        }
        Fact::Balance(user_id) => {
            let balance = recording.last.balances.get(user_id)?;
            Some(match recording.initial.wallets.get(user_id) {
                Some(first) => format!("wallet {user_id} has {balance} (at first {first})"),
                None => format!("there is a wallet {user_id}, which was not there at first"),
            })
        }
    };
    known.iter().filter_map(row).collect()
}

fn objection(state: &State, operation: &Operation, index: usize) -> String {
    let number = index + 1;
    let (answer, told) = (
        state.answer(&operation.request),
        told(&operation.completion),
    );
    if model::agrees(&answer, &operation.completion) {
        return format!("operation {number} ({told}) does not lead to the final rows");
    }
    format!(
        "operation {number} would be answered {}, not {told}",
        would(&answer, &operation.completion)
    )
}

fn told(completion: &Completion) -> String {
    match completion {
        Completion::Ok(receipt) => told_receipt(receipt),
        Completion::Fail(Refusal::Unstated(answer)) => format!("refused ({answer})"),
        Completion::Fail(refusal) => name(refusal),
        Completion::Info(unknown) => name(unknown),
    }
}

fn told_receipt(receipt: &Receipt) -> String {
    let price = receipt.price.map(|price| format!("price {price}"));
    let left = receipt.balance_left.map(|left| format!("{left} left"));
    let stated: Vec<_> = price.into_iter().chain(left).collect();
    match stated.is_empty() {
        true => "ok".into(),
        false => format!("ok ({})", stated.join(", ")),
    }
}

/// The model's answer, with as much of the receipt as `completion` states.
fn would(answer: &Answer, completion: &Completion) -> String {
    match answer {
        Err(refusal) => name(refusal),
        Ok(bought) => {
            let stated = match completion {
                Completion::Ok(receipt) => *receipt,
                _ => Receipt::default(),
            };
            told_receipt(&Receipt {
                purchase_id: None,
                price: stated.price.map(|_| bought.price),
                balance_left: stated.balance_left.map(|_| bought.balance_left),
            })
        }
    }
}

/// The name that a value has in a recording.
fn name(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_operations_are_counted_and_the_first_five_named() {
        let of = |count: usize| list(&(0..count).collect::<Vec<_>>());
        assert_eq!(of(1), "operation 1");
        assert_eq!(of(2), "operations 1 and 2");
        assert_eq!(of(6), "operations 1, 2, 3, 4, 5 and 6");
        assert_eq!(of(7), "7 operations (1, 2, 3, 4, 5, …)");
    }
}
