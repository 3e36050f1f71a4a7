//! Somebody else comes: whether the target serves again.

use super::sale::sell;
use super::settle::Settled;
use super::{Course, Scene};

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
