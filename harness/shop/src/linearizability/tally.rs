//! What is still to come, counted by item and wallet: what the search needs to know to decide
//! without a choice.

use super::part::{Op, Part};

/// What is left of an item's operations.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ItemTally {
    /// Refusals that say that the item was in stock.
    pub(super) watchers: usize,
    /// Operations that may still buy it.
    pub(super) buyers: usize,
    /// Those of them that certainly buy a unit of their own.
    pub(super) own: usize,
}

/// What is left of a wallet's operations.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WalletTally {
    pub(super) operations: usize,
    pub(super) certain: usize,
    /// Receipts that state a balance.
    pub(super) stated: usize,
    /// Those of them that are for a free item.
    pub(super) stated_free: usize,
    /// What the purchases of unknown outcome would cost together.
    pub(super) unknown_cost: i128,
    /// What those cost that are certainly purchases of their own.
    pub(super) own_cost: i128,
}

#[derive(Debug)]
pub(super) struct Tally {
    pub(super) items: Vec<ItemTally>,
    pub(super) wallets: Vec<WalletTally>,
}

impl Tally {
    pub(super) fn new(part: &Part) -> Tally {
        let mut tally = Tally {
            items: vec![ItemTally::default(); part.items.len()],
            wallets: vec![WalletTally::default(); part.wallets.len()],
        };
        part.ops.iter().for_each(|op| tally.add(part, op));
        tally
    }

    pub(super) fn add(&mut self, part: &Part, op: &Op) {
        self.change(part, op, |count, one| *count += one, 1);
    }

    pub(super) fn remove(&mut self, part: &Part, op: &Op) {
        self.change(part, op, |count, one| *count -= one, -1);
    }

    fn change(&mut self, part: &Part, op: &Op, count: fn(&mut usize, usize), sign: i128) {
        let (item, wallet) = (&mut self.items[op.item], &mut self.wallets[op.user]);
        let price = part.price(op);
        let states = usize::from(op.left().is_some());
        let is_certain = usize::from(op.is_certain());
        let needs_stock = usize::from(op.needs_stock());
        let is_refusal = matches!(op.claim, super::part::Claim::Refused(_));
        count(&mut item.watchers, needs_stock);
        count(&mut item.buyers, usize::from(!is_refusal));
        count(&mut wallet.operations, 1);
        count(&mut wallet.certain, is_certain);
        count(&mut wallet.stated, states);
        count(&mut wallet.stated_free, if price == 0 { states } else { 0 });
        if part.is_own_purchase(op) {
            count(&mut item.own, 1);
            wallet.own_cost += sign * i128::from(price);
        }
        if !op.is_certain() {
            wallet.unknown_cost += sign * i128::from(price);
        }
    }
}
