//! Services with one deliberate bug each, behind the service's own HTTP layer.
//!
//! A harness that has never failed proves nothing: these are what it must catch. A mutant's file
//! shows what is special about it and nothing else; the statements that it shares with the
//! others are in `sql`, and what puts it behind the HTTP layer is in `decider`. Beside them
//! stand services that are right in [`lawful`] ways of their own, and must not be accused.
//!
//! Where the schema lacks something, a mutant makes it itself before its first purchase.

mod decider;
mod sql;

mod answer_before_commit;
mod cancelled_begin;
mod retry_of_lost_commit;
mod swallowed_statement_error;
mod two_transactions;
mod unlocked_absolute_write;

use std::fmt;
use std::sync::Arc;

use purchase_service::purchaser::Purchaser;
use sqlx::PgPool;

use crate::target::BuildPurchaser;

/// A service with one deliberate bug.
#[derive(Clone, Copy)]
pub struct Mutant {
    /// Its name on the command line and in reports.
    pub name: &'static str,
    /// What is wrong, in one sentence.
    pub bug: &'static str,
    /// What it does to a shop, in one sentence.
    pub harm: &'static str,
    /// Where it has been seen, in one sentence.
    pub seen_in: &'static str,
    /// How many of it must share a database for the bug to show.
    pub replicas: usize,
    /// What must catch it, the surest first.
    pub detectors: &'static [Detector],
    /// Makes it on the service's pool.
    pub build: fn(PgPool) -> Arc<dyn Purchaser>,
}

/// What finds a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detector {
    /// A scenario of this name, in every run: the bug shows without luck.
    Scenario(&'static str),
    /// A fault of this name, at some step of a purchase.
    Fault(&'static str),
    /// The explorer, with the program of this name.
    Explorer(&'static str),
}

impl Mutant {
    /// The mutant as a target in this process.
    pub fn purchaser(&self) -> BuildPurchaser {
        BuildPurchaser {
            name: self.name,
            build: self.build,
        }
    }
}

impl fmt::Debug for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mutant").field(&self.name).finish()
    }
}

/// Every mutant.
pub const MUTANTS: &[Mutant] = &[
    unlocked_absolute_write::MUTANT,
    cancelled_begin::MUTANT,
    answer_before_commit::MUTANT,
    swallowed_statement_error::MUTANT,
    two_transactions::MUTANT,
    retry_of_lost_commit::MUTANT,
];

/// The mutant called `name`.
pub fn find(name: &str) -> Option<&'static Mutant> {
    MUTANTS.iter().find(|mutant| mutant.name == name)
}
