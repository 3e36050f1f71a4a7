//! Contradictions that need no search: receipts that share a purchase, and plain sums.
//!
//! Under a key there is one purchase for ever, and without one each acknowledgement is a
//! purchase of its own. So which acknowledgements mean the same purchase does not depend on any
//! order, and neither do the numbers of purchases that they vouch for.

use std::collections::{BTreeMap, HashMap, HashSet};

use purchase_service::order::{ItemId, UserId};

use super::recording::Recording;
use super::{Contradiction, Fact};
use crate::history::{Completion, Receipt};

/// The purchase that an acknowledgement means.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Meant<'a> {
    Key(&'a str),
    Own(usize),
}

fn acknowledged(recording: &Recording) -> impl Iterator<Item = (usize, Meant<'_>, &Receipt)> {
    let operations = recording.operations.iter().enumerate();
    operations.filter_map(|(index, operation)| match &operation.completion {
        Completion::Ok(receipt) => {
            let key = operation.request.key.as_deref();
            Some((index, key.map_or(Meant::Own(index), Meant::Key), receipt))
        }
        _ => None,
    })
}

/// The first of them.
pub(super) fn find(recording: &Recording) -> Option<Contradiction> {
    shared_purchase(recording)
        .or_else(|| split_purchase(recording))
        .or_else(|| oversold(recording))
        .or_else(|| overspent(recording))
}

fn shared_purchase(recording: &Recording) -> Option<Contradiction> {
    let mut first_by_id = HashMap::new();
    for (index, meant, receipt) in acknowledged(recording) {
        let Some(purchase_id) = receipt.purchase_id else {
            continue;
        };
        let (first, other) = *first_by_id.entry(purchase_id).or_insert((index, meant));
        if other != meant {
            let reason = format!(
                "purchase {purchase_id} is acknowledged to two requests that are not repeats of each other"
            );
            return Some(Contradiction::evident([first, index], reason));
        }
    }
    None
}

fn split_purchase(recording: &Recording) -> Option<Contradiction> {
    let mut first_by_key = HashMap::new();
    for (index, meant, receipt) in acknowledged(recording) {
        let (Meant::Key(key), Some(purchase_id)) = (meant, receipt.purchase_id) else {
            continue;
        };
        let (first, other) = *first_by_key.entry(key).or_insert((index, purchase_id));
        if other != purchase_id {
            let reason = format!(
                "key {key:?} stands for one purchase, and {other} and {purchase_id} are acknowledged under it"
            );
            return Some(Contradiction::evident([first, index], reason));
        }
    }
    None
}

/// One acknowledgement of each purchase, by what `owner` says of its order.
fn purchases<T: Ord>(recording: &Recording, owner: impl Fn(usize) -> T) -> BTreeMap<T, Vec<usize>> {
    let mut seen = HashSet::new();
    let mut purchases: BTreeMap<T, Vec<usize>> = BTreeMap::new();
    for (index, meant, _) in acknowledged(recording) {
        if seen.insert(meant) {
            purchases.entry(owner(index)).or_default().push(index);
        }
    }
    purchases
}

fn oversold(recording: &Recording) -> Option<Contradiction> {
    let item_of = |index: usize| recording.operations[index].request.order.item_id;
    for (item_id, mut sold) in purchases(recording, item_of) {
        let ItemId(id) = item_id;
        let Some(item) = recording.initial.items.get(&item_id) else {
            continue;
        };
        let stock = item.stock;
        let most = usize::try_from(stock).unwrap_or(0);
        if sold.len() > most {
            sold.sort_by_key(|index| recording.operations[*index].completed_ns);
            let count = sold.len();
            sold.truncate(most + 1);
            let reason = format!(
                "item {id} had a stock of {stock}, and {count} purchases of it are acknowledged"
            );
            return Some(Contradiction::evident(sold, reason));
        }
    }
    None
}

fn overspent(recording: &Recording) -> Option<Contradiction> {
    let user_of = |index: usize| recording.operations[index].request.order.user_id;
    for (user_id, mut paid) in purchases(recording, user_of) {
        let UserId(id) = user_id;
        let Some(balance) = recording.initial.wallets.get(&user_id) else {
            continue;
        };
        let price = |index: &usize| {
            i128::from(
                recording
                    .initial
                    .price(recording.operations[*index].request.order.item_id),
            )
        };
        // The dearest first: the fewest that are too much.
        paid.sort_by_key(|index| std::cmp::Reverse(price(index)));
        let mut spent = 0;
        let too_much = paid.iter().position(|index| {
            spent += price(index);
            spent > i128::from(balance.0)
        });
        if let Some(last) = too_much {
            let all: i128 = paid.iter().map(price).sum();
            let reason =
                format!("wallet {id} had {balance}, and purchases for {all} are acknowledged");
            return Some(Contradiction::evident(
                paid[..=last].iter().copied(),
                reason,
            ));
        }
    }
    None
}

impl Contradiction {
    fn evident(operations: impl IntoIterator<Item = usize>, reason: String) -> Self {
        let mut facts: Vec<_> = operations.into_iter().map(Fact::Operation).collect();
        facts.sort();
        Contradiction {
            facts,
            reason,
            is_smallest: false,
        }
    }
}
