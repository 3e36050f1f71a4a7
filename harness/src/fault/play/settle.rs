//! The case's own requests get their answers, and what the fault left is looked at.
//!
//! Before anybody comes again: a retry could mend, or hide, what the fault left. Where answers
//! keep long, it is asked first whether the target serves anybody at all.

use std::time::Duration;

use futures::future::{FutureExt, join_all};
use tokio::time::timeout;

use super::sale::sell;
use super::strike::Struck;
use super::{Course, Scene};
use crate::environment::EnvironmentError;
use crate::fault::evidence::Evidence;
use crate::fault::shop;
use rowlock_core::finding::Finding;
use rowlock_shop::history::Operation;

/// How long the requests of a case may keep others waiting until it is looked whether the target
/// serves anybody at all; the bound on that is [`recovery`](crate::recovery)'s.
const ANSWER_BOUND: Duration = Duration::from_millis(2_500);

/// Everybody of the case has been answered.
pub(super) struct Settled {
    pub(super) course: Course,
    /// Whether it sells again, where that has been asked already.
    pub(super) sells_again: Option<Finding>,
}

/// Waits for the answers to what was `struck`, after what had come `earlier`.
pub(super) async fn settle(
    scene: &Scene<'_, '_>,
    evidence: &mut Evidence<'_>,
    earlier: Vec<Operation>,
    struck: Struck,
) -> Result<Settled, EnvironmentError> {
    let Struck { requests, blow } = struck;
    let answers = join_all(requests).shared();
    let mut history = earlier;
    let sells_again = match timeout(ANSWER_BOUND, answers.clone()).await {
        Ok(_) => None,
        Err(_) => {
            // What was sold meanwhile is in the rows that are looked at.
            let (finding, operations) = sell(scene, blow.over).await;
            history.extend(operations);
            Some(finding)
        }
    };
    let mut answers = answers.await;
    let chosen = answers.iter_mut().filter(|it| it.request == scene.chosen);
    chosen.for_each(|operation| shop::forgive(scene.case.fault, operation));
    history.extend(answers);
    let findings = scene.look(&history, evidence).await?;
    let course = Course {
        history,
        findings,
        blow,
    };
    Ok(Settled {
        course,
        sells_again,
    })
}
