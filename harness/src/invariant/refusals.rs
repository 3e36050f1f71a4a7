//! Refusals against the shop: "no" is answered only when it was true.
//!
//! Stock and balances only fall during a trial, so a refusal was true at some moment of its
//! operation exactly if it is true of the final rows, and if the purchases that can have come
//! first, those invoked before the refusal was complete, suffice to explain it. Both are
//! necessary conditions: neither can accuse a right target.

use std::collections::BTreeMap;

use super::Evidence;
use crate::history::{Completion, Operation, Refusal, effects};

/// The operations refused for `refusal`.
fn refused<'a>(
    evidence: &'a Evidence,
    refusal: &'a Refusal,
) -> impl Iterator<Item = &'a Operation> {
    evidence
        .history
        .iter()
        .filter(move |operation| operation.is_refused(refusal))
}

/// Whether `other` can have taken effect before `operation` was answered.
fn can_precede(other: &Operation, operation: &Operation) -> bool {
    other.may_have_happened() && other.invoked_ns <= operation.completed_ns
}

pub(super) fn untrue_out_of_stock(evidence: &Evidence) -> Vec<String> {
    let judge = |operation: &Operation| {
        let item_id = operation.request.order.item_id;
        let Some(before) = evidence.initial.items.get(&item_id) else {
            return Some(format!("{}: there is no such item", operation.describe()));
        };
        let left = evidence
            .rows
            .shop
            .items
            .get(&item_id)
            .map_or(0, |item| item.stock);
        if left > 0 {
            return Some(format!(
                "{}, and {left} are left of {}",
                operation.describe(),
                before.stock
            ));
        }
        None
    };
    let mut violations: Vec<_> = refused(evidence, &Refusal::OutOfStock)
        .filter_map(judge)
        .collect();
    violations.extend(refused_too_early(evidence));
    violations
}

/// The first refusal of each item, where fewer buyers than its stock can have come before it.
/// One per item suffices: whoever was answered later had more before it.
fn refused_too_early(evidence: &Evidence) -> Vec<String> {
    let mut refusals: Vec<_> = refused(evidence, &Refusal::OutOfStock).collect();
    refusals.sort_by_key(|operation| operation.completed_ns);
    let mut earliest = BTreeMap::new();
    for operation in refusals {
        let item_id = operation.request.order.item_id;
        earliest.entry(item_id).or_insert(operation);
    }
    let judge = |(item_id, operation): (_, &Operation)| {
        let stock = evidence.initial.items.get(&item_id)?.stock;
        let before = evidence.history.iter().filter(|other| {
            other.request.order.item_id == item_id && can_precede(other, operation)
        });
        let sold: i64 = effects(before)
            .values()
            .map(|effects| effects.certain + effects.possible)
            .sum();
        (sold < stock).then(|| {
            format!(
                "{}, when at most {sold} of {stock} were sold",
                operation.describe()
            )
        })
    };
    earliest.into_iter().filter_map(judge).collect()
}

pub(super) fn untrue_insufficient_balance(evidence: &Evidence) -> Vec<String> {
    let judge = |operation: &Operation| {
        let order = operation.request.order;
        let price = i128::from(evidence.initial.price(order.item_id));
        let Some(before) = evidence.initial.wallets.get(&order.user_id) else {
            return Some(format!("{}: there is no such wallet", operation.describe()));
        };
        let left = evidence
            .rows
            .shop
            .wallets
            .get(&order.user_id)
            .map_or(0, |money| money.0);
        let purchases = evidence.history.iter().filter(|other| {
            other.request.order.user_id == order.user_id && can_precede(other, operation)
        });
        let spent: i128 = effects(purchases)
            .into_iter()
            .map(|((_, item_id), effects)| {
                i128::from(effects.certain + effects.possible)
                    * i128::from(evidence.initial.price(item_id))
            })
            .sum();
        let least = i128::from(before.0) - spent;
        (i128::from(left) >= price || least >= price).then(|| {
            format!(
                "{} at price {price}: balance {before} -> {left}, at least {least} at the time",
                operation.describe()
            )
        })
    };
    refused(evidence, &Refusal::InsufficientBalance)
        .filter_map(judge)
        .collect()
}

pub(super) fn untrue_unknown(evidence: &Evidence) -> Vec<String> {
    let is_untrue = |operation: &&Operation| {
        let order = operation.request.order;
        match &operation.completion {
            Completion::Fail(Refusal::UnknownItem) => {
                evidence.initial.items.contains_key(&order.item_id)
            }
            Completion::Fail(Refusal::UnknownUser) => {
                evidence.initial.wallets.contains_key(&order.user_id)
            }
            _ => false,
        }
    };
    evidence
        .history
        .iter()
        .filter(is_untrue)
        .map(Operation::describe)
        .collect()
}
