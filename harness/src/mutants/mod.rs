//! Services with one deliberate bug each, behind the service's own HTTP layer.
//!
//! A harness that has never failed proves nothing: these are what it must catch.

mod stale_after_lock;
mod unlocked_absolute_write;

use crate::target::BuildPurchaser;

/// Every mutant.
pub const MUTANTS: &[BuildPurchaser] = &[unlocked_absolute_write::MUTANT, stale_after_lock::MUTANT];

/// The mutant called `name`.
pub fn find(name: &str) -> Option<BuildPurchaser> {
    MUTANTS.iter().copied().find(|mutant| mutant.name == name)
}
