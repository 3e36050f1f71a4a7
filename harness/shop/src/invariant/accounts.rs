//! Rows against rows, and rows against answers: what is gone must be accounted for.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use purchase_service::order::{ItemId, UserId};

use super::Evidence;
use crate::history::{Effects, effects};
use crate::rows::Purchase;

pub(super) fn negative_stock(evidence: &Evidence) -> Vec<String> {
    let items = evidence.rows.shop.items.iter();
    items
        .filter(|(_, item)| item.stock < 0)
        .map(|(id, item)| format!("item {id} has stock {}", item.stock))
        .collect()
}

pub(super) fn negative_balance(evidence: &Evidence) -> Vec<String> {
    let wallets = evidence.rows.shop.wallets.iter();
    wallets
        .filter(|(_, balance)| balance.0 < 0)
        .map(|(user_id, balance)| format!("user {user_id} has balance {balance}"))
        .collect()
}

pub(super) fn stock_differs_from_purchases(evidence: &Evidence) -> Vec<String> {
    let sold = sum_purchases(evidence, |purchase| (purchase.item_id, 1));
    stock_gone(evidence, |item_id, gone, stocks| {
        let sold = sold.get(&item_id).copied().unwrap_or(0);
        let verb = match sold.cmp(&gone) {
            Ordering::Greater => "oversold",
            Ordering::Less => "lost stock",
            Ordering::Equal => return None,
        };
        Some(format!(
            "item {item_id} {verb}: {stocks}, {gone} gone, {sold} purchases"
        ))
    })
}

pub(super) fn balance_differs_from_prices(evidence: &Evidence) -> Vec<String> {
    let charged = sum_purchases(evidence, |purchase| {
        (purchase.user_id, i128::from(purchase.price.0))
    });
    balance_gone(evidence, |user_id, gone, balances| {
        let charged = charged.get(&user_id).copied().unwrap_or(0);
        (gone != charged)
            .then(|| format!("user {user_id}: {balances}, {gone} gone, purchases worth {charged}"))
    })
}

pub(super) fn stock_differs_from_answers(evidence: &Evidence) -> Vec<String> {
    let mut by_item: BTreeMap<ItemId, Effects> = BTreeMap::new();
    for ((_, item_id), effects) in effects(&evidence.history) {
        let sum = by_item.entry(item_id).or_default();
        sum.certain += effects.certain;
        sum.possible += effects.possible;
    }
    stock_gone(evidence, |item_id, gone, stocks| {
        let Effects { certain, possible } = by_item.get(&item_id).copied().unwrap_or_default();
        let (least, most) = (
            i128::from(certain),
            i128::from(certain) + i128::from(possible),
        );
        let verb = if gone < least {
            "oversold"
        } else if gone > most {
            "lost stock"
        } else {
            return None;
        };
        let answers = span(least, most, "200s");
        Some(format!(
            "item {item_id} {verb}: {stocks}, {gone} gone, {answers}"
        ))
    })
}

pub(super) fn balance_differs_from_answers(evidence: &Evidence) -> Vec<String> {
    let mut by_user: BTreeMap<UserId, Spent> = BTreeMap::new();
    for ((user_id, item_id), effects) in effects(&evidence.history) {
        let price = i128::from(evidence.initial.price(item_id));
        let spent = by_user.entry(user_id).or_default();
        spent.least += i128::from(effects.certain) * price;
        spent.most += i128::from(effects.certain + effects.possible) * price;
        if effects.possible > 0 {
            spent.unit = gcd(spent.unit, price);
        }
    }
    balance_gone(evidence, |user_id, gone, balances| {
        let spent = by_user.get(&user_id).copied().unwrap_or_default();
        (!spent.allows(gone)).then(|| {
            let Spent { least, most, .. } = spent;
            let worth = span(least, most, "worth of 200s");
            format!("user {user_id}: {balances}, {gone} gone, {worth}")
        })
    })
}

/// What the answers say that a user has spent.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    least: i128,
    most: i128,
    /// What divides the prices of all purchases with an unknown outcome; 0 without any.
    unit: i128,
}

impl Spent {
    /// Whether `gone` agrees. It may be too kind where such prices differ, and never too strict.
    fn allows(self, gone: i128) -> bool {
        let beyond = gone - self.least;
        (self.least..=self.most).contains(&gone) && (beyond == 0 || beyond % self.unit == 0)
    }
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// `3 200s`, or `3 to 5 200s` where some outcomes are unknown.
fn span(least: i128, most: i128, of: &str) -> String {
    match least == most {
        true => format!("{least} {of}"),
        false => format!("{least} to {most} {of}, unknown answers counted"),
    }
}

fn sum_purchases<K: Ord>(
    evidence: &Evidence,
    key_and_amount: impl Fn(&Purchase) -> (K, i128),
) -> BTreeMap<K, i128> {
    let mut sums = BTreeMap::new();
    for purchase in evidence.rows.purchases.iter().flatten() {
        let (key, amount) = key_and_amount(purchase);
        *sums.entry(key).or_default() += amount;
    }
    sums
}

/// Asks `judge` for every item of the trial with the stock gone and "stock 5 -> 2" in words.
fn stock_gone(
    evidence: &Evidence,
    judge: impl Fn(ItemId, i128, &str) -> Option<String>,
) -> Vec<String> {
    let left = &evidence.rows.shop.items;
    let judge = |(item_id, item): (&ItemId, &crate::rows::Item)| match left.get(item_id) {
        None => Some(format!("item {item_id} is gone from the table")),
        Some(now) => {
            let gone = i128::from(item.stock) - i128::from(now.stock);
            judge(
                *item_id,
                gone,
                &format!("stock {} -> {}", item.stock, now.stock),
            )
        }
    };
    evidence.initial.items.iter().filter_map(judge).collect()
}

/// Asks `judge` for every wallet of the trial with the balance gone and "balance 9 -> 4" in words.
fn balance_gone(
    evidence: &Evidence,
    judge: impl Fn(UserId, i128, &str) -> Option<String>,
) -> Vec<String> {
    let left = &evidence.rows.shop.wallets;
    let judge = |(user_id, balance): (&UserId, &_)| match left.get(user_id) {
        None => Some(format!("wallet {user_id} is gone from the table")),
        Some(now) => {
            let purchase_service::order::Money(before) = *balance;
            let gone = i128::from(before) - i128::from(now.0);
            judge(*user_id, gone, &format!("balance {before} -> {now}"))
        }
    };
    evidence.initial.wallets.iter().filter_map(judge).collect()
}
