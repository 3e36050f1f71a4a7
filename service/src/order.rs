//! What a buyer asks for and what the shop answers: plain values, no I/O.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            Serialize, Deserialize, sqlx::Type,
        )]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

newtype! {
    /// Names a wallet and its owner.
    UserId
}
newtype! {
    /// Names an item for sale.
    ItemId
}
newtype! {
    /// Names a purchase row.
    PurchaseId
}
newtype! {
    /// An amount in minor units (cents), never a fraction of one.
    Money
}

/// The body of `POST /api/purchase/`: who buys what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Whose wallet pays.
    pub user_id: UserId,
    /// The item of which one unit is bought.
    pub item_id: ItemId,
}

/// The body of a 200: a purchase that is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::FromRow)]
pub struct Receipt {
    /// The purchase row.
    pub purchase_id: PurchaseId,
    /// Whose wallet paid.
    pub user_id: UserId,
    /// The item of which one unit was bought.
    pub item_id: ItemId,
    /// What the unit cost, at the time of the purchase.
    pub price: Money,
    /// What this purchase left in the wallet.
    pub balance_left: Money,
}

/// Why nothing was bought: an answer of the domain, not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No item has that id.
    UnknownItem,
    /// No wallet has that id.
    UnknownUser,
    /// The stock was 0 under the item's lock.
    OutOfStock,
    /// The balance was below the price under the wallet's lock.
    InsufficientBalance,
    /// The `Idempotency-Key` belongs to a purchase with another payload.
    KeyReused,
}
