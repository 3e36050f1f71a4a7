//! The shop's rows as plain values: what a trial starts from, and what it left.

use std::collections::BTreeMap;
use std::fmt;

use purchase_service::order::{ItemId, Money, PurchaseId, UserId};
use serde::{Deserialize, Serialize};

/// One row of `item`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The price of a unit.
    pub price: Money,
    /// Units left.
    pub stock: i64,
}

/// The rows of `item` and `wallet`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shop {
    /// Every item by its id.
    pub items: BTreeMap<ItemId, Item>,
    /// Every wallet's balance by its owner.
    pub wallets: BTreeMap<UserId, Money>,
}

impl Shop {
    /// Adds an item.
    pub fn item(mut self, id: i64, price: i64, stock: i64) -> Self {
        self.items.insert(
            ItemId(id),
            Item {
                price: Money(price),
                stock,
            },
        );
        self
    }

    /// Adds a wallet.
    pub fn wallet(mut self, user_id: i64, balance: i64) -> Self {
        self.wallets.insert(UserId(user_id), Money(balance));
        self
    }

    /// The price of `item_id`; an item that does not exist costs nothing, since nobody can buy it.
    pub fn price(&self, item_id: ItemId) -> i64 {
        self.items.get(&item_id).map_or(0, |item| item.price.0)
    }

    /// Takes in all rows of `other`; ids are expected to differ.
    pub fn extend(&mut self, other: Shop) {
        self.items.extend(other.items);
        self.wallets.extend(other.wallets);
    }
}

/// One row of `purchase`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// The row's key.
    pub purchase_id: PurchaseId,
    /// Who paid.
    pub user_id: UserId,
    /// What was bought.
    pub item_id: ItemId,
    /// What was charged.
    pub price: Money,
    /// The `Idempotency-Key` of the request, if it had one.
    pub idempotency_key: Option<String>,
}

/// The rows that a trial left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalRows {
    /// Items and wallets.
    pub shop: Shop,
    /// Purchases, where the target keeps them.
    pub purchases: Option<Vec<Purchase>>,
}

/// `item 1: price 250, stock 1; wallet 1: balance 500`.
impl fmt::Display for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = self.items.iter();
        let items = items
            .map(|(id, item)| format!("item {id}: price {}, stock {}", item.price, item.stock));
        let wallets = self.wallets.iter();
        let wallets =
            wallets.map(|(user_id, balance)| format!("wallet {user_id}: balance {balance}"));
        let rows: Vec<_> = items.chain(wallets).collect();
        f.write_str(&rows.join("; "))
    }
}

/// The same, with who bought what: `…; 1 purchase (user 1 item 1)`.
impl fmt::Display for FinalRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shop.fmt(f)?;
        let Some(purchases) = &self.purchases else {
            return Ok(());
        };
        match purchases.len() {
            0 => return f.write_str("; no purchase"),
            1 => f.write_str("; 1 purchase")?,
            many => write!(f, "; {many} purchases")?,
        }
        let bought = purchases.iter();
        let bought: Vec<_> = bought
            .map(|purchase| format!("user {} item {}", purchase.user_id, purchase.item_id))
            .collect();
        write!(f, " ({})", bought.join(", "))
    }
}
