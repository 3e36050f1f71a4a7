//! The case's own requests get their answers, and what the fault left is looked at.
//!
//! Before anybody comes again: a retry could mend, or hide, what the fault left. Where answers
//! keep long, it is asked first whether the target serves anybody at all.

use std::time::Duration;

use futures::future::{FutureExt, join_all};
use tokio::time::timeout;

use super::latecomer::ask_latecomer;
use super::strike::Struck;
use super::{Course, Scene};
use crate::environment::EnvironmentError;
use crate::fault::evidence::Evidence;
use crate::fault::stories::{Asked, Recovery, Stage, Stories};
use rowlock_core::finding::Finding;

/// How long the requests of a case may keep others waiting until it is looked whether the target
/// serves anybody at all; the bound on that is [`recovery`](crate::recovery)'s.
const ANSWER_BOUND: Duration = Duration::from_millis(2_500);

/// Everybody of the case has been answered.
pub(super) struct Settled<S: Stories> {
    pub(super) course: Course<S>,
    /// Whether it serves again, where that has been asked already.
    pub(super) sells_again: Option<Finding>,
}

/// Waits for the answers to what was `struck`, after what had come `earlier`.
pub(super) async fn settle<S: Stories>(
    scene: &Scene<'_, '_, S>,
    evidence: &mut Evidence<'_>,
    earlier: Vec<Asked<S>>,
    struck: Struck<S>,
) -> Result<Settled<S>, EnvironmentError> {
    let Struck { requests, blow } = struck;
    let answers = join_all(requests).shared();
    let mut history = earlier;
    let sells_again = match timeout(ANSWER_BOUND, answers.clone()).await {
        Err(_) if S::RECOVERY == Recovery::Beside => {
            // What came of it meanwhile is in the rows that are looked at.
            let (finding, asked) = ask_latecomer(scene, blow.over).await;
            history.extend(asked);
            Some(finding)
        }
        _ => None,
    };
    let mut answers = answers.await;
    if let Some(chosen) = answers.first_mut() {
        let stories = scene.place.stories();
        stories.forgive(scene.case.fault, &mut chosen.operation);
    }
    history.extend(answers);
    let findings = scene.look(Stage::Settled, &history, evidence).await?;
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
