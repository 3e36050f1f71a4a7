//! Campaigns of faults on the shop.

use super::{Shop, Story};
use crate::environment::EnvironmentError;
use crate::fault::{self, campaign, play};
use crate::setting::Setting;

/// One fault at one step of one of the shop's stories.
pub type Case = fault::Case<Story>;

/// Which of them are tried.
pub type Plan = campaign::Plan<Story>;

/// What a case was, and what came of it.
pub type Played = play::Played<Shop>;

/// What came of all of them.
pub type Campaign = campaign::Campaign<Shop>;

/// Runs `plan` on the shop.
///
/// # Errors
/// As [`campaign::run`].
pub async fn run(setting: &Setting<'_>, plan: &Plan) -> Result<Campaign, EnvironmentError> {
    campaign::run(setting, &Shop, plan).await
}
