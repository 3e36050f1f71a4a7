//! Refusals against the shop: "no" is answered only when it was true.
//!
//! Stock and balances only fall during a trial, so a refusal was true at some moment of its
//! operation exactly if it is true of the final rows, and if the purchases that can have come
//! first, those invoked before the refusal was complete, suffice to explain it. Both are
//! necessary conditions: neither can accuse a right target. A refusal that tells no reason was
//! true if one of the shop's reasons can have been.

use std::collections::{BTreeMap, BTreeSet};

use purchase_service::order::{ItemId, Money, Order, UserId};

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

pub(super) fn untrue_without_reason(evidence: &Evidence) -> Vec<String> {
    let history = evidence.history.iter();
    let silent: Vec<_> = history
        .filter(|operation| operation.is_refused_without_reason())
        .collect();
    if silent.is_empty() {
        return Vec::new();
    }
    let spending = Spending::of(evidence);
    let judge = |operation: &Operation| {
        let why = spending.why_it_would_sell(operation)?;
        let advice = "a request that gave way to another is answered 409, one that never began 503";
        Some(format!("{}, {why}; {advice}", operation.describe()))
    };
    silent.into_iter().filter_map(judge).collect()
}

/// What was left of each item and wallet, and what can have been bought by when. Repeats of a
/// key are counted as purchases of their own, so that it errs for the target.
struct Spending<'a> {
    evidence: &'a Evidence,
    /// When each purchase that may have happened was invoked, and its price, in order.
    by_item: BTreeMap<ItemId, Vec<(u64, i128)>>,
    by_user: BTreeMap<UserId, Vec<(u64, i128)>>,
    /// The orders under each key.
    by_key: BTreeMap<&'a str, BTreeSet<(UserId, ItemId)>>,
}

impl<'a> Spending<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let mut spending = Spending {
            evidence,
            by_item: BTreeMap::new(),
            by_user: BTreeMap::new(),
            by_key: BTreeMap::new(),
        };
        for operation in &evidence.history {
            let Order { user_id, item_id } = operation.request.order;
            if let Some(key) = &operation.request.key {
                let orders = spending.by_key.entry(key).or_default();
                orders.insert((user_id, item_id));
            }
            if operation.may_have_happened() {
                let price = i128::from(evidence.initial.price(item_id));
                let purchase = (operation.invoked_ns, price);
                spending.by_item.entry(item_id).or_default().push(purchase);
                spending.by_user.entry(user_id).or_default().push(purchase);
            }
        }
        let all = spending.by_item.values_mut();
        for purchases in all.chain(spending.by_user.values_mut()) {
            purchases.sort_unstable();
            let mut sum = 0;
            for (_, price) in purchases {
                sum += *price;
                *price = sum;
            }
        }
        spending
    }

    /// Why the shop would have sold at any moment of `operation`; nothing where it may have had a
    /// reason not to.
    fn why_it_would_sell(&self, operation: &Operation) -> Option<String> {
        let Order { user_id, item_id } = operation.request.order;
        let key = operation.request.key.as_deref();
        if key.is_some_and(|key| self.by_key.get(key).is_some_and(|orders| orders.len() > 1)) {
            return None;
        }
        let item = self.evidence.initial.items.get(&item_id)?;
        let Money(balance) = *self.evidence.initial.wallets.get(&user_id)?;
        let (sold, _) = before(self.by_item.get(&item_id), operation);
        let (_, spent) = before(self.by_user.get(&user_id), operation);
        let shop = &self.evidence.rows.shop;
        let stock_left = shop.items.get(&item_id).map_or(0, |item| item.stock);
        let balance_left = shop.wallets.get(&user_id).map_or(0, |money| money.0);

        let was_in_stock = stock_left > 0 || sold < item.stock;
        let price = i128::from(item.price.0);
        let could_pay = i128::from(balance_left) >= price || i128::from(balance) - spent >= price;
        (was_in_stock && could_pay).then(|| {
            format!(
                "with a stock of {} of which at most {sold} were sold by then and {stock_left} \
                 are left, a price of {price}, and a balance of {balance} of which at most \
                 {spent} were spent by then and {balance_left} are left",
                item.stock
            )
        })
    }
}

/// How many of `purchases` can have taken effect before `operation` was answered, and for how
/// much.
fn before(purchases: Option<&Vec<(u64, i128)>>, operation: &Operation) -> (i64, i128) {
    let purchases = purchases.map_or(&[][..], Vec::as_slice);
    let count = purchases.partition_point(|(invoked_ns, _)| *invoked_ns <= operation.completed_ns);
    let spent = count.checked_sub(1).map_or(0, |last| purchases[last].1);
    (i64::try_from(count).unwrap_or(i64::MAX), spent)
}
