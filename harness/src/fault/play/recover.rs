//! Somebody else comes: whether the target serves again.

use super::latecomer::ask_latecomer;
use super::settle::Settled;
use super::{Course, Scene};
use crate::environment::EnvironmentError;
use crate::fault::stories::{Recovery, Stories};
use rowlock_core::finding::Finding;

/// Asks again, unless that was done before the answers had come.
pub(super) async fn recover<S: Stories>(
    scene: &Scene<'_, '_, S>,
    settled: Settled<S>,
) -> Course<S> {
    let Settled {
        mut course,
        sells_again,
    } = settled;
    let finding = match sells_again {
        Some(finding) => finding,
        None => match put_back(scene).await {
            Ok(()) => {
                let (finding, asked) = ask_latecomer(scene, course.blow.over).await;
                course.history.extend(asked);
                finding
            }
            Err(error) => {
                let statement = "within 5 s after the last fault the target serves again";
                let why = format!("its rows cannot be put back: {}", error.in_full());
                Finding::new("serves-again", statement, vec![why])
            }
        },
    };
    course.findings.push(finding);
    course
}

/// Puts the rows back for who comes, where that is needed.
async fn put_back<S: Stories>(scene: &Scene<'_, '_, S>) -> Result<(), EnvironmentError> {
    match S::RECOVERY {
        Recovery::Beside => Ok(()),
        Recovery::Anew => scene.place.reset(scene.case.story).await,
    }
}
