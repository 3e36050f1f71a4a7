//! Somebody else comes: whether the target serves again.

use std::time::Instant;

use super::settle::Settled;
use super::{Course, Scene};
use crate::fault::shop;
use crate::recovery::{deadline, sell_again};
use rowlock_core::finding::Finding;
use rowlock_shop::history::Operation;

/// Whether the target sells again, and what was asked to find out.
pub(super) struct Sale {
    finding: Finding,
    operations: Vec<Operation>,
}

/// Asks for something that the case has nothing to do with, until it is served.
pub(super) async fn sell(scene: &Scene<'_, '_>, over: Instant) -> Sale {
    let (finding, operations) = sell_again(scene.world, shop::latecomer(), deadline(over)).await;
    Sale {
        finding,
        operations,
    }
}

/// Sells again, unless that was asked before the answers had come.
pub(super) async fn recover(scene: &Scene<'_, '_>, settled: Settled) -> Course {
    let Settled { mut course, sale } = settled;
    let sale = match sale {
        Some(sale) => sale,
        None => sell(scene, course.blow.over).await,
    };
    course.history.extend(sale.operations);
    course.findings.push(sale.finding);
    course
}
