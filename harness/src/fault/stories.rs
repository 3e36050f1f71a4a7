//! What a campaign needs of whoever is judged: requests, the rows that they find, how their answers
//! are to be taken, and what must hold after something was broken.
//!
//! A story is one request, or one actor's few, that is broken at one step after another.

use std::fmt::Debug;

use rowlock_core::finding::Finding;
use rowlock_core::universal::Aftermath;

use super::{Case, Fault, StoryName};
use crate::baseline::Baseline;
use crate::client::Client;
use crate::environment::EnvironmentError;
use crate::rig::Rig;
use crate::subject::{self, Subject};
use crate::target::OnConflict;

/// A subject's answer to a request of a campaign.
pub type Operation<S> = subject::Operation<<S as Stories>::Subject>;

/// What asking a target has shown.
pub type Known<S> = <<S as Stories>::Subject as Subject>::Known;

/// The stories of a subject.
pub trait Stories: Clone + Debug + Send + Sync + 'static {
    /// Who is judged.
    type Subject: Subject;
    /// What a story is called.
    type Name: StoryName;
    /// What is asked.
    type Request: Clone + Debug + Send + Sync + 'static;
    /// What is to be expected, found out once and before any case.
    type Expected: Debug;

    /// When it is seen whether the target serves again.
    const RECOVERY: Recovery;

    /// Who is judged.
    fn subject(&self) -> &Self::Subject;

    /// The stories that can be asked of a target.
    fn names(&self, known: &Known<Self>) -> Vec<Self::Name>;

    /// The stories that cannot, each with the reason.
    fn left_out(&self, known: &Known<Self>) -> Vec<String>;

    /// A story as a report's heading has it, alone or with a rival.
    fn title(&self, name: Self::Name, rival: bool) -> String;

    /// Has the target make what it makes only when it is first asked.
    ///
    /// # Errors
    /// Failures of the environment.
    fn settle_in(
        &self,
        rig: &mut Rig<Self::Subject>,
    ) -> impl Future<Output = Result<(), EnvironmentError>>;

    /// Finds out what is to be expected.
    ///
    /// # Errors
    /// Failures of the environment, and a target that is not as it is said to be.
    fn expect(
        &self,
        rig: &Rig<Self::Subject>,
    ) -> impl Future<Output = Result<Self::Expected, EnvironmentError>>;

    /// Puts the rows that a story finds in the place of all that is there.
    fn reset_sql(&self, known: &Known<Self>, name: Self::Name, baseline: &Baseline) -> String;

    /// The request that is broken; `run` tells this time from others.
    fn chosen(&self, known: &Known<Self>, name: Self::Name, run: &str) -> Self::Request;

    /// Whether the request has been acknowledged once before.
    fn has_come_before(&self, name: Self::Name) -> bool;

    /// A second request that meets the chosen one, if there is one.
    fn rival(&self, name: Self::Name) -> Option<Self::Request>;

    /// A request that is to be served once the fault is over.
    fn latecomer(&self, name: Self::Name) -> Self::Request;

    /// A request that runs statements, for many to come at once.
    fn one_of_many(&self) -> Self::Request;

    /// Why the chosen request may not be sent again, if it may do twice what it asks for.
    fn not_repeatable(&self, known: &Known<Self>, name: Self::Name) -> Option<String>;

    /// Whether it need not be asked again after an answer: its outcome is known, and it gave way to
    /// nobody.
    fn is_final(
        &self,
        case: Case<Self::Name>,
        on_conflict: OnConflict,
        operation: &Operation<Self>,
    ) -> bool;

    /// Whether the story ends with such an answer where nothing is broken.
    fn is_answer(
        &self,
        case: Case<Self::Name>,
        on_conflict: OnConflict,
        operation: &Operation<Self>,
    ) -> bool;

    /// Whether the [latecomer](Stories::latecomer) was served.
    fn is_served(&self, name: Self::Name, operation: &Operation<Self>) -> bool;

    /// Does not hold the target to a reason that the fault itself has given it.
    fn forgive(&self, fault: Fault, operation: &mut Operation<Self>);

    /// Makes of the answer of a client that has hung up what it knows.
    fn hang_up(operation: &mut Operation<Self>);

    /// Whether the target was asked at all.
    fn was_sent(operation: &Operation<Self>) -> bool;

    /// Asks the target.
    fn send(
        &self,
        known: &Known<Self>,
        request: Self::Request,
        client: Client,
    ) -> impl Future<Output = Operation<Self>> + Send + 'static;

    /// Every check, as things are now.
    ///
    /// # Errors
    /// The harness's own statements.
    fn look(
        &self,
        look: Look<'_, Self>,
    ) -> impl Future<Output = Result<Vec<Finding>, EnvironmentError>>;
}

/// When it is seen whether a target serves again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Before the chosen request comes again, and beside it: the latecomer has nothing to do with it.
    Beside,
    /// Once all else has been looked at, on rows that are put back.
    Anew,
}

/// A request and its answer.
#[derive(Debug, Clone)]
pub struct Asked<S: Stories> {
    /// What was asked.
    pub request: S::Request,
    /// What was answered.
    pub operation: Operation<S>,
}

/// How far a case has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Its requests have been answered, and nobody has come since who had no part in it.
    Settled,
    /// The chosen request has come again, until its outcome was known.
    Retried,
    /// Others have come.
    Over,
}

/// What there is to look at.
#[derive(Debug)]
pub struct Look<'a, S: Stories> {
    /// Where it ran.
    pub rig: &'a Rig<S::Subject>,
    /// What was to be expected.
    pub expected: &'a S::Expected,
    /// What was broken.
    pub case: Case<S::Name>,
    /// How far the case has come.
    pub stage: Stage,
    /// What was asked, in order.
    pub asked: &'a [Asked<S>],
    /// What the target's sessions left.
    pub aftermath: Aftermath,
}
