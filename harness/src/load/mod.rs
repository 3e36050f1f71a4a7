//! Load: many clients on a subject at once, and what their answers and the rows say together.
//!
//! ```text
//!  initial rows ──▶ world ──▶ crowd ──▶ history ──▶ findings ┐
//!                   a rig     all at                         ├─▶ trial ──▶ report
//!                             once     measure: numbers  ────┘
//! ```
//!
//! What is asked, of which rows, and what must hold is the subject's ([`Loaded`]): the shop's
//! scenarios are in [`crate::shop::scenario`], a burst of a contract's actors is in
//! [`crate::contract::burst`].

pub mod crowd;
pub mod measure;
pub mod trial;
pub mod world;

use rowlock_core::finding::Finding;
use rowlock_core::universal::Aftermath;

pub use trial::Trial;
pub use world::World;

use crate::environment::EnvironmentError;
use crate::rig::Rig;
use crate::subject::{Operation, Subject};

/// What load needs of whoever is judged.
///
/// The calls of a program mean nothing here: a load begins with its rows.
pub trait Loaded: Subject {
    /// What is kept of the rows before the first call.
    type Before: Send;
    /// What is read of the rows after the last answer.
    type After: Send;

    /// Puts the rows of `program` in the place of all that is there.
    ///
    /// # Errors
    /// Failures of the environment, and what the subject says wrongly of itself.
    fn begin(
        &self,
        rig: &Rig<Self>,
        program: &Self::Program,
    ) -> impl Future<Output = Result<Self::Before, EnvironmentError>>;

    /// Reads what must be known of the rows.
    ///
    /// # Errors
    /// As [`Loaded::begin`].
    fn look(&self, rig: &Rig<Self>) -> impl Future<Output = Result<Self::After, EnvironmentError>>;

    /// Every check of a load.
    fn judge_load(&self, answered: Answered<'_, Self>) -> Vec<Finding>;
}

/// What a load has shown.
#[derive(Debug)]
pub struct Answered<'a, S: Loaded> {
    /// What the target can do.
    pub known: &'a S::Known,
    /// Whose rows were there.
    pub program: &'a S::Program,
    /// What was kept of them.
    pub before: &'a S::Before,
    /// What was answered.
    pub history: &'a [Operation<S>],
    /// What was left.
    pub after: &'a S::After,
    /// What the target's sessions left.
    pub aftermath: Aftermath,
    /// Whether something was broken on purpose.
    pub broken: bool,
}
