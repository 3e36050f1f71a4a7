//! Services with one deliberate bug each, behind the service's own HTTP layer.
//!
//! A harness that has never failed proves nothing: these are what it must catch. A mutant's file
//! shows what is special about it and nothing else; the statements that it shares with the
//! others are in `sql`, and what puts it behind the HTTP layer is in `decider`; those that break a
//! rule of purchases that share a transaction are built on [`batching`]. Beside them
//! stand services that are right in [`lawful`] ways of their own, and must not be accused.
//!
//! Where the schema lacks something, a mutant makes it itself before its first purchase.

pub mod batching;
pub mod lawful;

mod decider;
mod sql;

mod answer_before_commit;
mod begin_and_commit_apart;
mod cached_stock;
mod cancelled_begin;
mod charge_before_key;
mod charge_then_refund;
mod check_before_transaction;
mod deadlock_victim_acknowledged;
mod greater_for_at_least;
mod key_checked_apart;
mod lock_in_autocommit;
mod once_by_not_exists;
mod process_mutex;
mod refusal_debits;
mod refusal_without_rollback;
mod repeatable_read_unretried;
mod retry_in_aborted_transaction;
mod retry_of_lost_commit;
mod second_connection;
mod session_advisory_lock;
mod share_lock_upgraded;
mod skip_locked;
mod stale_after_lock;
mod statement_on_the_pool;
mod stock_by_count;
mod swallowed_statement_error;
mod two_transactions;
mod unlocked_absolute_write;
mod unlocked_relative_decrement;
mod unlocked_wallet;
mod version_without_row_count;
mod wallet_before_item;

use std::fmt;
use std::sync::Arc;

use purchase_service::purchaser::Purchaser;
use sqlx::PgPool;

use self::lawful::Lawful;
use crate::shop::BuildPurchaser;
use crate::shop::scenario::ScenarioName;
use crate::target::{Keys, OnConflict};

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
    /// What it promises of idempotency keys.
    pub keys: Keys,
    /// What must catch it, the surest first.
    pub detectors: &'static [Detector],
    /// What must catch it by the shop's contract alone.
    pub by_serial_orders: BySerialOrders,
    /// Makes it on the service's pool.
    pub build: fn(PgPool) -> Arc<dyn Purchaser>,
}

/// What finds a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detector {
    /// The scenario of this name.
    Scenario(ScenarioName),
    /// The fault of this name, at some step of a request.
    Fault(&'static str),
    /// The explorer, on the program of this name for two buyers.
    Explorer(&'static str),
    /// The same for three.
    ExplorerOfThree(&'static str),
}

/// How a mutant falls where nothing is known of the shop but its contract, and what is right are its
/// own calls, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BySerialOrders {
    /// To the explorer.
    Explorer,
    /// To faults.
    Faults,
    /// To neither, and why.
    Neither(&'static str),
}

impl Mutant {
    /// The mutant as a target in this process.
    pub fn purchaser(&self) -> BuildPurchaser {
        BuildPurchaser {
            name: self.name,
            // Each is our service but for its bug, and promises the same.
            on_conflict: OnConflict::TriesAgain,
            keys: self.keys,
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
    unlocked_relative_decrement::MUTANT,
    check_before_transaction::MUTANT,
    lock_in_autocommit::MUTANT,
    statement_on_the_pool::MUTANT,
    begin_and_commit_apart::MUTANT,
    stale_after_lock::MUTANT,
    unlocked_wallet::MUTANT,
    wallet_before_item::MUTANT,
    share_lock_upgraded::MUTANT,
    repeatable_read_unretried::MUTANT,
    retry_in_aborted_transaction::MUTANT,
    swallowed_statement_error::MUTANT,
    cancelled_begin::MUTANT,
    refusal_without_rollback::MUTANT,
    answer_before_commit::MUTANT,
    retry_of_lost_commit::MUTANT,
    key_checked_apart::MUTANT,
    two_transactions::MUTANT,
    process_mutex::MUTANT,
    second_connection::MUTANT,
    session_advisory_lock::MUTANT,
    version_without_row_count::MUTANT,
    skip_locked::MUTANT,
    greater_for_at_least::MUTANT,
    refusal_debits::MUTANT,
    cached_stock::MUTANT,
    once_by_not_exists::MUTANT,
    deadlock_victim_acknowledged::MUTANT,
    stock_by_count::MUTANT,
    charge_then_refund::MUTANT,
    charge_before_key::MUTANT,
    batching::wallets_as_they_come::MUTANT,
    batching::refusal_before_commit::MUTANT,
    batching::batch_fails_as_one::MUTANT,
    batching::stock_for_the_whole_batch::MUTANT,
    batching::balance_judged_apart::MUTANT,
    batching::key_in_one_batch::MUTANT,
    batching::dropped_by_its_leader::MUTANT,
    batching::anothers_receipt::MUTANT,
];

/// The mutant called `name`.
pub fn find(name: &str) -> Option<&'static Mutant> {
    MUTANTS.iter().find(|mutant| mutant.name == name)
}

/// The names of all mutants and lawful services.
pub fn names() -> impl Iterator<Item = &'static str> {
    let lawful = lawful::LAWFUL.iter().map(|lawful| lawful.name);
    MUTANTS.iter().map(|mutant| mutant.name).chain(lawful)
}

/// The purchaser called `name`, of a mutant or of a lawful service.
pub fn purchaser(name: &str) -> Option<BuildPurchaser> {
    let mutant = find(name).map(Mutant::purchaser);
    mutant.or_else(|| lawful::find(name).map(Lawful::purchaser))
}
