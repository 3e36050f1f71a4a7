//! Somebody else, to see whether anybody is served.

use std::time::Instant;

use super::Scene;
use crate::fault::stories::{Asked, Operation, Stories};
use crate::recovery::{deadline, serves_again};
use rowlock_core::finding::Finding;

/// Asks until it is served: whether it was, and what was asked to find out.
pub(super) async fn ask_latecomer<S: Stories>(
    scene: &Scene<'_, '_, S>,
    over: Instant,
) -> (Finding, Vec<Asked<S>>) {
    let stories = scene.place.stories();
    let story = scene.case.story;
    let is_served = |it: &Operation<S>| stories.is_served(story, it);
    let latecomer = stories.latecomer(story);
    let asked = scene
        .place
        .until(latecomer, deadline(over), is_served)
        .await;
    let last = asked.last().map(|asked| &asked.operation);
    let statement = "within 5 s after the last fault the target serves again";
    (serves_again(statement, last, is_served), asked)
}
