//! A purchase that has nothing to do with the case, to see whether anybody is served.

use std::time::Instant;

use super::Scene;
use crate::fault::shop;
use crate::recovery::{deadline, sell_again};
use rowlock_core::finding::Finding;
use rowlock_shop::history::Operation;

/// Asks for something that the case has nothing to do with, until it is served: whether it was,
/// and what was asked to find out.
pub(super) async fn sell(scene: &Scene<'_, '_>, over: Instant) -> (Finding, Vec<Operation>) {
    sell_again(scene.world, shop::latecomer(), deadline(over)).await
}
