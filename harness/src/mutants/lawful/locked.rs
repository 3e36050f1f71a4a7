//! The service's own purchase, as it can be configured.

use std::num::NonZeroUsize;

use super::super::batching::MAX_BATCH;
use super::Lawful;
use crate::shop::locked;
use crate::target::OnConflict;

/// By `MAX_BATCH=1`.
pub(super) const PLAIN: Lawful = Lawful {
    name: "plain-transaction",
    why: "each purchase locks the item and then the wallet, and has both to itself until it commits",
    on_conflict: OnConflict::TriesAgain,
    build: |pool| locked(pool, NonZeroUsize::MIN),
};

/// By default.
pub(super) const BATCHING: Lawful = Lawful {
    name: "batching",
    why: "the orders of one item that wait share the next transaction, in which each is decided as \
          if it came alone after those before it",
    on_conflict: OnConflict::TriesAgain,
    build: |pool| locked(pool, MAX_BATCH),
};
