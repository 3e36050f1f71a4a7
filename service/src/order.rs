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

impl Money {
    /// The amount in major units, for people: `10.05` for 1,005 cents.
    pub fn decimal(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let minor = self.0.unsigned_abs();
        format!("{sign}{}.{:02}", minor / 100, minor % 100)
    }
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

/// The `Idempotency-Key` of a request: it names one purchase in the whole shop.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The longest key, in bytes.
    pub const MAX_LEN: usize = 255;

    /// Reads a key from the bytes of a header.
    ///
    /// # Errors
    /// [`InvalidKey`] unless it is 1 to [`Self::MAX_LEN`] bytes of visible ASCII.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidKey> {
        let fits = (1..=Self::MAX_LEN).contains(&bytes.len());
        match std::str::from_utf8(bytes) {
            Ok(key) if fits && key.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Self(key.to_owned()))
            }
            _ => Err(InvalidKey),
        }
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A key that is empty, too long, or not visible ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "idempotency-key must be 1 to {} visible ASCII characters",
    IdempotencyKey::MAX_LEN
)]
pub struct InvalidKey;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_in_major_units() {
        for (minor, decimal) in [
            (0, "0.00"),
            (5, "0.05"),
            (1_005, "10.05"),
            (-5, "-0.05"),
            (i64::MIN, "-92233720368547758.08"),
        ] {
            assert_eq!(Money(minor).decimal(), decimal);
        }
    }

    #[test]
    fn a_key_is_1_to_255_visible_ascii_characters() {
        let longest = "k".repeat(255);
        for good in [
            "k",
            "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"",
            "~!",
            longest.as_str(),
        ] {
            assert!(IdempotencyKey::parse(good.as_bytes()).is_ok(), "{good:?}");
        }
        let too_long = "k".repeat(256);
        for bad in [
            "",
            " ",
            "a b",
            "a\tb",
            "a\0",
            "clé",
            "\u{7f}",
            too_long.as_str(),
        ] {
            assert_eq!(
                IdempotencyKey::parse(bad.as_bytes()),
                Err(InvalidKey),
                "{bad:?}"
            );
        }
        assert_eq!(IdempotencyKey::parse(&[0xff]), Err(InvalidKey));
    }
}
