//! The chosen request comes again, as the client of a service that keeps its word may do.

use super::{Course, Scene};
use crate::fault::shop;
use crate::recovery::{deadline, until};
use rowlock_core::finding::{Finding, Outcome};
use rowlock_shop::history::Operation;

/// Sends the chosen request again until its outcome is known, where that is safe.
pub(super) async fn retry(scene: &Scene<'_, '_>, mut course: Course) -> Course {
    let retries = match shop::is_repeatable(scene.case.story, &scene.chosen) {
        true => {
            let deadline = deadline(course.blow.over);
            let on_conflict = scene.world.on_conflict();
            let is_final = |it: &Operation| shop::is_final(scene.case.story, on_conflict, it);
            Some(until(scene.world, scene.chosen.clone(), deadline, is_final).await)
        }
        false => None,
    };
    course.findings.push(judge(scene, retries.as_deref()));
    course.history.extend(retries.into_iter().flatten());
    course
}

fn judge(scene: &Scene<'_, '_>, retries: Option<&[Operation]>) -> Finding {
    let name = "retry-ends-it";
    let statement = "a retry under the same key is answered as if nothing had been broken";
    let Some(retries) = retries else {
        let mut finding = Finding::new(name, statement, Vec::new());
        finding.outcome = Outcome::NotApplicable(shop::NO_KEYS.into());
        return finding;
    };
    let on_conflict = scene.world.on_conflict();
    let violations = match retries.last() {
        Some(last) if shop::is_answer_of(scene.case.story, on_conflict, last) => Vec::new(),
        Some(last) => vec![last.describe()],
        None => vec!["no connection was accepted".into()],
    };
    Finding::new(name, statement, violations)
}
