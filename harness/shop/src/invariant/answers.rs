//! Answers against purchases: what was acknowledged exists, and nothing else does.

use std::collections::{BTreeMap, BTreeSet};

use super::Evidence;
use crate::history::{Completion, Operation, Receipt, effects};
use crate::rows::Purchase;

/// The acknowledged operations and their receipts.
fn acknowledged(evidence: &Evidence) -> impl Iterator<Item = (&Operation, &Receipt)> {
    evidence
        .history
        .iter()
        .filter_map(|operation| match &operation.completion {
            Completion::Ok(receipt) => Some((operation, receipt)),
            _ => None,
        })
}

pub(super) fn acknowledged_without_purchase(evidence: &Evidence) -> Vec<String> {
    let rows = evidence.rows.purchases.as_deref().unwrap_or_default();
    let by_id: BTreeMap<_, _> = rows.iter().map(|row| (row.purchase_id, row)).collect();
    let mut owners = BTreeMap::new();
    let mut violations = Vec::new();
    for (index, (operation, receipt)) in acknowledged(evidence).enumerate() {
        let Some(purchase_id) = receipt.purchase_id else {
            continue;
        };
        match by_id.get(&purchase_id) {
            None => violations.push(format!(
                "{} was acknowledged as purchase {purchase_id}, which does not exist",
                operation.describe()
            )),
            Some(row) => violations.extend(differs(row, operation, receipt)),
        }
        // Repeats under one key share their purchase; nobody else does.
        let owner = operation.request.key.clone().ok_or(index);
        if *owners.entry(purchase_id).or_insert_with(|| owner.clone()) != owner {
            violations.push(format!(
                "purchase {purchase_id} was acknowledged to two requests"
            ));
        }
    }
    violations.extend(acknowledged_more_often_than_purchased(evidence, rows));
    violations
}

/// Counts where receipts name no purchase: at least one row per acknowledged purchase.
fn acknowledged_more_often_than_purchased(evidence: &Evidence, rows: &[Purchase]) -> Vec<String> {
    let counts = count_rows(rows);
    let buyers = effects(&evidence.history).into_iter();
    buyers
        .filter_map(|(buyer, effects)| {
            let count = counts.get(&buyer).copied().unwrap_or(0);
            let (user_id, item_id) = buyer;
            (count < effects.certain).then(|| {
                let certain = effects.certain;
                format!("user {user_id} item {item_id}: {certain} acknowledged, {count} purchases")
            })
        })
        .collect()
}

fn differs(row: &Purchase, operation: &Operation, receipt: &Receipt) -> Option<String> {
    let order = operation.request.order;
    let same = (row.user_id, row.item_id) == (order.user_id, order.item_id)
        && receipt.price.is_none_or(|price| price == row.price);
    (!same).then(|| {
        let Purchase {
            purchase_id,
            user_id,
            item_id,
            price,
            ..
        } = row;
        format!(
            "purchase {purchase_id} is of user {user_id}, item {item_id}, price {price}; \
             acknowledged was {}",
            operation.describe()
        )
    })
}

fn count_rows(
    rows: &[Purchase],
) -> BTreeMap<
    (
        purchase_service::order::UserId,
        purchase_service::order::ItemId,
    ),
    i64,
> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry((row.user_id, row.item_id)).or_default() += 1;
    }
    counts
}

pub(super) fn purchase_without_answer(evidence: &Evidence) -> Vec<String> {
    let rows = evidence.rows.purchases.as_deref().unwrap_or_default();
    let effects = effects(&evidence.history);
    let counts = count_rows(rows).into_iter();
    counts
        .filter_map(|(buyer, count)| {
            let allowed = effects.get(&buyer).copied().unwrap_or_default();
            let most = allowed.certain + allowed.possible;
            let (user_id, item_id) = buyer;
            (count > most).then(|| {
                format!(
                    "user {user_id} item {item_id}: {count} purchases, {} acknowledged, {} unknown",
                    allowed.certain, allowed.possible
                )
            })
        })
        .collect()
}

pub(super) fn sold_twice_to_a_customer(evidence: &Evidence) -> Vec<String> {
    let rows = evidence.rows.purchases.as_deref().unwrap_or_default();
    let mut sold = count_rows(rows);
    for (buyer, effects) in effects(&evidence.history) {
        let count = sold.entry(buyer).or_default();
        *count = effects.certain.max(*count);
    }
    sold.into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|((user_id, item_id), count)| {
            format!("user {user_id} bought item {item_id} {count} times")
        })
        .collect()
}

pub(super) fn receipts_differ_under_a_key(evidence: &Evidence) -> Vec<String> {
    let mut by_key: BTreeMap<&str, Vec<(&Operation, &Receipt)>> = BTreeMap::new();
    for (operation, receipt) in acknowledged(evidence) {
        if let Some(key) = &operation.request.key {
            by_key.entry(key).or_default().push((operation, receipt));
        }
    }
    let mut violations = Vec::new();
    for (key, acknowledged) in by_key {
        let [(first, receipt), others @ ..] = acknowledged.as_slice() else {
            continue;
        };
        let other = others.iter().find(|(operation, other)| {
            other != receipt || operation.request.order != first.request.order
        });
        if let Some((operation, _)) = other {
            let (first, second) = (first.describe(), operation.describe());
            violations.push(format!(
                "key {key:?} has two receipts: {first}, and {second}"
            ));
        }
    }
    violations
}

pub(super) fn untrue_receipt(evidence: &Evidence) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut violations = Vec::new();
    for (operation, receipt) in acknowledged(evidence) {
        let order = operation.request.order;
        let price = evidence.initial.price(order.item_id);
        let balance = evidence
            .initial
            .wallets
            .get(&order.user_id)
            .map_or(0, |money| money.0);
        let price_is_true = receipt.price.is_none_or(|said| said.0 == price);
        let balance_is_true = receipt.balance_left.is_none_or(|left| {
            left.0 >= 0 && i128::from(left.0) <= i128::from(balance) - i128::from(price)
        });
        // Every purchase that costs something leaves another balance.
        let repeated = price > 0
            && operation.request.key.is_none()
            && receipt
                .balance_left
                .is_some_and(|left| !seen.insert((order.user_id, left)));
        if !price_is_true || !balance_is_true || repeated {
            violations.push(format!(
                "{} of an item that costs {price} from a wallet that began with {balance}{}",
                operation.describe(),
                if repeated {
                    ", the same balance left as another purchase"
                } else {
                    ""
                }
            ));
        }
    }
    violations
}
