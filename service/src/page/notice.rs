//! Every answer in words that a buyer understands, for the page and for its script.

use std::fmt;

use crate::order::Refusal;
use crate::purchaser::{Outcome, PurchaseError};

/// What the page has to say about the purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    /// Nothing.
    None,
    /// Refused, for a reason that this page does not know.
    Refused,
    Buying,
    Trying,
    Crowded,
    Resumed,
    Bought,
    OutOfStock,
    InsufficientBalance,
    UnknownItem,
    UnknownUser,
    KeyReused,
    Conflict,
    Unknown,
    Forbidden,
    Unauthenticated,
    NotUnderstood,
    NotShown,
}

/// How a notice looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Waiting,
}

impl Notice {
    /// Those that the script may have to say; the first stands for every name not among them.
    pub(super) const SPOKEN: [Self; 15] = [
        Self::Refused,
        Self::Buying,
        Self::Trying,
        Self::Crowded,
        Self::Resumed,
        Self::Bought,
        Self::OutOfStock,
        Self::InsufficientBalance,
        Self::UnknownItem,
        Self::UnknownUser,
        Self::KeyReused,
        Self::Conflict,
        Self::Unknown,
        Self::Forbidden,
        Self::Unauthenticated,
    ];

    /// What is to be said of a purchase that was posted without the script.
    pub(super) fn of(decided: &Result<Outcome, PurchaseError>) -> Self {
        match decided {
            Ok(Ok(_)) => Self::Bought,
            Ok(Err(Refusal::OutOfStock)) => Self::OutOfStock,
            Ok(Err(Refusal::InsufficientBalance)) => Self::InsufficientBalance,
            Ok(Err(Refusal::UnknownItem)) => Self::UnknownItem,
            Ok(Err(Refusal::UnknownUser)) => Self::UnknownUser,
            Ok(Err(Refusal::KeyReused)) => Self::KeyReused,
            Err(PurchaseError::Conflict(_)) => Self::Conflict,
            Err(PurchaseError::Overloaded { .. } | PurchaseError::Busy(_)) => Self::Crowded,
            Err(PurchaseError::Unexpected(_)) => Self::Unknown,
        }
    }

    /// Whether it says for good what became of the purchase.
    pub(super) fn is_definite(self) -> bool {
        !matches!(self, Self::Crowded | Self::Unknown)
    }

    /// What the script calls it: the `code` of the answer, where it is one's.
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Refused => "refused",
            Self::Buying => "buying",
            Self::Trying => "trying",
            Self::Crowded => "crowded",
            Self::Resumed => "resumed",
            Self::Bought => "bought",
            Self::OutOfStock => "out_of_stock",
            Self::InsufficientBalance => "insufficient_balance",
            Self::UnknownItem => "unknown_item",
            Self::UnknownUser => "unknown_user",
            Self::KeyReused => "idempotency_key_reused",
            Self::Conflict => "conflict",
            Self::Unknown => "unknown",
            Self::Forbidden => "not_your_wallet",
            Self::Unauthenticated => "unauthenticated",
            Self::NotUnderstood => "not_understood",
            Self::NotShown => "not_shown",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Refused => "This could not be bought. Nothing was charged.",
            Self::Buying => "Buying …",
            Self::Trying => "Still trying …",
            Self::Crowded => "The shop is crowded. Your purchase has not begun; please try again.",
            Self::Resumed => "Finding out what became of your purchase …",
            Self::Bought => "Bought. It is yours.",
            Self::OutOfStock => "Sold out: somebody else took the last one. Nothing was charged.",
            Self::InsufficientBalance => {
                "Your wallet does not hold enough for this. Nothing was charged."
            }
            Self::UnknownItem => "This item is no longer for sale. Nothing was charged.",
            Self::UnknownUser => "There is no such wallet.",
            Self::KeyReused => "This order was taken for another one. Nothing was charged.",
            Self::Conflict => {
                "Too many wanted this at the same moment. Nothing was charged; please come again."
            }
            Self::Unknown => {
                "We do not know yet whether you bought it. Press Buy to find out; you will not \
                 be charged twice."
            }
            Self::Forbidden => "You may not do that in this wallet's name. Nothing was charged.",
            Self::Unauthenticated => "You are not signed in. Nothing was charged.",
            Self::NotUnderstood => "This request could not be read. Nothing was charged.",
            Self::NotShown => "The shop is crowded. Please load the page again in a moment.",
        }
    }

    pub(super) fn tone(self) -> Tone {
        match self {
            Self::Bought => Tone::Good,
            Self::None
            | Self::Buying
            | Self::Trying
            | Self::Crowded
            | Self::Resumed
            | Self::Unknown
            | Self::NotShown => Tone::Waiting,
            _ => Tone::Bad,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Tone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Waiting => "waiting",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problem;

    #[test]
    fn every_refusal_is_spoken_under_the_code_of_its_answer() {
        for refusal in [
            Refusal::UnknownItem,
            Refusal::UnknownUser,
            Refusal::OutOfStock,
            Refusal::InsufficientBalance,
            Refusal::KeyReused,
        ] {
            let notice = Notice::of(&Ok(Err(refusal)));
            assert_eq!(notice.name(), Problem::from(refusal).code);
            assert!(Notice::SPOKEN.contains(&notice), "{notice}");
        }
    }

    #[test]
    fn only_what_may_still_change_is_not_definite() {
        let unknown = Err(PurchaseError::Unexpected("lost".into()));
        assert!(!Notice::of(&unknown).is_definite());
        assert!(!Notice::of(&Err(PurchaseError::Overloaded { max_waiting: 1 })).is_definite());
        assert!(Notice::of(&Err(PurchaseError::Conflict("gave way".into()))).is_definite());
        assert!(Notice::of(&Ok(Err(Refusal::OutOfStock))).is_definite());
    }
}
