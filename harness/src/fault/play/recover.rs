//! Somebody else comes: whether the target serves again.

use std::time::Instant;

use super::settle::Settled;
use super::{Course, Scene};
use crate::fault::shop;
use crate::recovery::{deadline, sell_again};
use rowlock_core::finding::Finding;
use rowlock_shop::history::Operation;

/// Asks for something that the case has nothing to do with, until it is served: whether it was,
/// and what was asked to find out.
pub(super) async fn sell(scene: &Scene<'_, '_>, over: Instant) -> (Finding, Vec<Operation>) {
    sell_again(scene.world, shop::latecomer(), deadline(over)).await
}

/// Sells again, unless that was asked before the answers had come.
pub(super) async fn recover(scene: &Scene<'_, '_>, settled: Settled) -> Course {
    let Settled {
        mut course,
        sells_again,
    } = settled;
    let finding = match sells_again {
        Some(finding) => finding,
        None => {
            let (finding, operations) = sell(scene, course.blow.over).await;
            course.history.extend(operations);
            finding
        }
    };
    course.findings.push(finding);
    course
}
