//! What the requests' open transactions have touched, and what their ends give back.
//!
//! A transaction keeps its locks to its end, so a step depends on the end of every transaction that
//! touched the same, and not on the single steps of it. Whether PostgreSQL took a lock is not known
//! here: whatever a step can touch counts as touched.

use std::collections::BTreeMap;

use crate::footprint::Footprint;
use crate::schedule::RequestIndex;

/// What open transactions have touched.
#[derive(Debug)]
pub(super) struct Transactions {
    /// What the answered steps of each request's open transaction have touched.
    touched: BTreeMap<RequestIndex, Footprint>,
    /// What the transactions that ended or failed since the last choice gave back.
    released: Footprint,
}

impl Default for Transactions {
    fn default() -> Self {
        Transactions {
            touched: BTreeMap::new(),
            released: Footprint::NOTHING,
        }
    }
}

impl Transactions {
    /// A step of `request` that touches this was answered.
    pub(super) fn touch(&mut self, request: RequestIndex, footprint: &Footprint) {
        let touched = self.touched.entry(request);
        let touched = touched.or_insert(Footprint::NOTHING);
        *touched = touched.union(footprint);
    }

    /// What the end of `request`'s transaction gives back.
    pub(super) fn end_of(&self, request: RequestIndex) -> Footprint {
        let touched = self.touched.get(&request);
        touched.map_or(Footprint::NOTHING, Footprint::released)
    }

    /// `request` gives back what its transaction has locked, now or soon. It may still come back
    /// to it: after a failure a savepoint may bring back what was before it.
    pub(super) fn release(&mut self, request: RequestIndex) {
        self.released = self.released.union(&self.end_of(request));
    }

    /// The transaction of `request` is over.
    pub(super) fn end(&mut self, request: RequestIndex) {
        self.release(request);
        self.touched.remove(&request);
    }

    /// Whether a step of `request` that touches this may have to wait for the end of another
    /// request's transaction.
    pub(super) fn may_block(&self, request: RequestIndex, footprint: &Footprint) -> bool {
        let mut others = self.touched.iter().filter(|(other, _)| **other != request);
        others.any(|(_, theirs)| footprint.depends_on(&theirs.released()))
    }

    /// What was given back since this was last asked.
    pub(super) fn take_released(&mut self) -> Footprint {
        std::mem::replace(&mut self.released, Footprint::NOTHING)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::footprint::{Access, Mode};

    const A: RequestIndex = RequestIndex(0);
    const B: RequestIndex = RequestIndex(1);

    fn row(id: &str, mode: Mode) -> Footprint {
        Footprint::Rows(BTreeSet::from([Access {
            table: "t".to_owned(),
            rows: BTreeMap::from([("id".to_owned(), id.to_owned())]),
            mode,
        }]))
    }

    #[test]
    fn a_transaction_gives_back_at_its_end_what_it_locked_and_not_what_it_read() {
        let mut transactions = Transactions::default();
        transactions.touch(A, &row("1", Mode::Lock));
        transactions.touch(A, &row("2", Mode::Read));
        assert_eq!(transactions.take_released(), Footprint::NOTHING);
        transactions.end(A);
        assert_eq!(transactions.take_released(), row("1", Mode::Release));
        assert_eq!(transactions.take_released(), Footprint::NOTHING);
        assert_eq!(transactions.end_of(A), Footprint::NOTHING);
    }

    #[test]
    fn what_a_failure_released_may_be_released_again() {
        let mut transactions = Transactions::default();
        transactions.touch(A, &row("1", Mode::Lock));
        transactions.release(A);
        assert_eq!(transactions.take_released(), row("1", Mode::Release));
        transactions.end(A);
        assert_eq!(transactions.take_released(), row("1", Mode::Release));
    }

    #[test]
    fn only_anothers_open_transaction_is_in_the_way_and_only_on_the_same_row() {
        let mut transactions = Transactions::default();
        transactions.touch(A, &row("1", Mode::Lock));
        assert!(transactions.may_block(B, &row("1", Mode::Lock)));
        assert!(!transactions.may_block(B, &row("2", Mode::Lock)));
        assert!(!transactions.may_block(A, &row("1", Mode::Lock)));
        transactions.end(A);
        assert!(!transactions.may_block(B, &row("1", Mode::Lock)));
    }
}
