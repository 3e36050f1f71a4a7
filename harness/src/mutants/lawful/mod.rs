//! Services that are right in other ways than ours: none may be accused.
//!
//! A harness that knew only one way to be right would be a test of that way.

mod advisory_lock;
mod compare_and_set;
mod conditional_update;
mod function_call;
mod locked;
mod optimistic_version;
pub(super) mod retry;
mod serializable;
mod serializable_unretried;

use std::fmt;
use std::sync::Arc;

use purchase_service::purchaser::Purchaser;
use sqlx::PgPool;

use crate::shop::BuildPurchaser;
use crate::target::{Keys, OnConflict};

/// A service that is right in its own way.
#[derive(Clone, Copy)]
pub struct Lawful {
    /// Its name on the command line and in reports.
    pub name: &'static str,
    /// Why it is right, in one sentence.
    pub why: &'static str,
    /// What it does where it meets others.
    pub on_conflict: OnConflict,
    /// Makes it on the service's pool.
    pub build: fn(PgPool) -> Arc<dyn Purchaser>,
}

impl Lawful {
    /// The service as a target in this process.
    pub fn purchaser(&self) -> BuildPurchaser {
        BuildPurchaser {
            name: self.name,
            on_conflict: self.on_conflict,
            keys: Keys::AsSeen,
            build: self.build,
        }
    }
}

impl fmt::Debug for Lawful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lawful").field(&self.name).finish()
    }
}

/// Every lawful service.
pub const LAWFUL: &[Lawful] = &[
    conditional_update::LAWFUL,
    serializable::LAWFUL,
    advisory_lock::LAWFUL,
    optimistic_version::LAWFUL,
    function_call::LAWFUL,
    serializable_unretried::LAWFUL,
    compare_and_set::LAWFUL,
    locked::PLAIN,
    locked::BATCHING,
];

/// The lawful service called `name`.
pub fn find(name: &str) -> Option<&'static Lawful> {
    LAWFUL.iter().find(|lawful| lawful.name == name)
}
