//! The chosen request comes again, as the client of a service that keeps its word may do.

use super::{Course, Scene};
use crate::fault::stories::{Asked, Operation, Stories};
use crate::recovery::deadline;
use rowlock_core::answer::Answer;
use rowlock_core::finding::{Finding, Outcome};

/// Sends the chosen request again until its outcome is known, where that is safe.
pub(super) async fn retry<S: Stories>(
    scene: &Scene<'_, '_, S>,
    mut course: Course<S>,
) -> Course<S> {
    let (place, case) = (scene.place, scene.case);
    let finding = match place.stories().not_repeatable(place.known(), case.story) {
        Some(why) => finding(Outcome::NotApplicable(why)),
        None => {
            let deadline = deadline(course.blow.over);
            let on_conflict = place.on_conflict();
            let is_final = |it: &Operation<S>| place.stories().is_final(case, on_conflict, it);
            let retries = place.until(scene.chosen.clone(), deadline, is_final);
            let retries = retries.await;
            let judged = judge(scene, &retries);
            course.history.extend(retries);
            judged
        }
    };
    course.findings.push(finding);
    course
}

fn finding(outcome: Outcome) -> Finding {
    let statement = "a retry under the same key is answered as if nothing had been broken";
    Finding {
        outcome,
        ..Finding::new("retry-ends-it", statement, Vec::new())
    }
}

fn judge<S: Stories>(scene: &Scene<'_, '_, S>, retries: &[Asked<S>]) -> Finding {
    let on_conflict = scene.place.on_conflict();
    let is_answer = |asked: &Asked<S>| {
        let stories = scene.place.stories();
        stories.is_answer(scene.case, on_conflict, &asked.operation)
    };
    finding(match retries.last() {
        Some(last) if is_answer(last) => Outcome::Holds,
        Some(last) => Outcome::Violated(vec![last.operation.describe()]),
        None => Outcome::Violated(vec!["no connection was accepted".into()]),
    })
}
