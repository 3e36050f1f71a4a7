//! The subject: whoever is judged, and all that rig and explorer need of it.
//!
//! A service and what is known of it: the tables that it finds, how it is asked what it can do, the
//! rows of a program, its calls, and what must hold of answers and rows. The shop is one
//! ([`crate::shop`]); the rest of the harness knows no table and no call of any.

use std::fmt::Debug;
use std::time::Duration;

use rowlock_core::finding::Finding;
use rowlock_core::program::Program;
use rowlock_core::universal::Aftermath;
use rowlock_postgres::Database;
use sqlx::PgConnection;

use crate::baseline::{Baseline, OwnRows};
use crate::client::Client;
use crate::database::Inspector;
use crate::environment::EnvironmentError;
use crate::rig::Rig;
use crate::target::Target;

/// Whoever is judged.
pub trait Subject: Clone + Debug + Send + Sync + 'static {
    /// What it is asked at once.
    type Program: Program;
    /// What asking a running target has shown of it.
    type Known: Debug + Send + Sync;
    /// What is to be expected of one program, where that is found out by running it.
    type Expected: Debug + Send;

    /// The database that every other is a copy of; an empty one if there is none.
    fn template(&self) -> Option<&Database> {
        None
    }

    /// The tables that [`Subject::reset_sql`] fills by itself.
    fn own_rows(&self) -> OwnRows;

    /// Makes what must be in a new database before a target starts on it.
    ///
    /// # Errors
    /// The harness's own statements.
    fn lay_out(
        &self,
        inspector: &Inspector,
    ) -> impl Future<Output = Result<(), EnvironmentError>> + Send;

    /// Asks a target that has just started what it can do; it answers within `patience`. Leaves
    /// the rows that every run begins with, and [remembers](Inspector::remember) them.
    ///
    /// # Errors
    /// Failures of the environment, and a target that does not do what it is for.
    fn learn(
        &self,
        inspector: &mut Inspector,
        target: &Target,
        patience: Duration,
    ) -> impl Future<Output = Result<Self::Known, EnvironmentError>>;

    /// Puts the rows of `program` in the place of all that runs have left.
    fn reset_sql(
        &self,
        known: &Self::Known,
        program: &Self::Program,
        baseline: &Baseline,
    ) -> String;

    /// Puts back what is not in the rows; nothing unless it says what.
    ///
    /// # Errors
    /// Failures of the environment.
    fn restore(&self, _rig: &Rig<Self>) -> impl Future<Output = Result<(), EnvironmentError>> {
        std::future::ready(Ok(()))
    }

    /// Whether the target remembers outside its database, and is to be started anew before each run.
    fn remembers(&self) -> bool {
        false
    }

    /// Starts the target anew, at the same address. What it looks at when it starts is there already.
    ///
    /// # Errors
    /// Failures of the environment.
    fn restart(&self, _rig: &Rig<Self>) -> impl Future<Output = Result<(), EnvironmentError>> {
        std::future::ready(Ok(()))
    }

    /// Whether a statement belongs to no call, whenever it comes; `application_name` looks up what its
    /// connection was called at its begin.
    fn is_background(&self, _sql: &str, _application_name: &dyn Fn() -> String) -> bool {
        false
    }

    /// The longest that a call takes alone, where that is known.
    fn takes_alone(&self, _expected: &Self::Expected) -> Option<Duration> {
        None
    }

    /// Whether `operation`, the answer to a call of the program, refuses it in a way in which nothing
    /// refused it when it was found out what is to be expected.
    fn is_unheard_of(
        &self,
        _expected: &Self::Expected,
        _call: usize,
        _operation: &Operation<Self>,
    ) -> bool {
        false
    }

    /// Whether a target at rest still does alone what was found out of it, and if not, what it does
    /// instead: a login that expires makes it another. The rows are then no program's.
    ///
    /// # Errors
    /// Failures of the environment.
    fn is_as_expected(
        &self,
        _rig: &Rig<Self>,
        _rows: &mut crate::rows::Rows,
        _program: &Self::Program,
        _expected: &Self::Expected,
    ) -> impl Future<Output = Result<Result<(), String>, EnvironmentError>> {
        std::future::ready(Ok(Ok(())))
    }

    /// What a report says beside the verdict, each a line.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Finds out what is to be expected of `program`, if that is to be found out.
    ///
    /// # Errors
    /// Failures of the environment, and a program that cannot be asked of this target.
    fn expect(
        &self,
        rig: &Rig<Self>,
        rows: &mut crate::rows::Rows,
        program: &Self::Program,
    ) -> impl Future<Output = Result<Self::Expected, EnvironmentError>>;

    /// Reads the rows that a run has left.
    ///
    /// # Errors
    /// Whatever the database says.
    fn read(
        &self,
        known: &Self::Known,
        expected: &Self::Expected,
        connection: &mut PgConnection,
    ) -> impl Future<Output = Result<Rows<Self>, sqlx::Error>>;

    /// Makes a call of `program` on `client`. The operation's times mean nothing. The connection
    /// comes back where it can be used again.
    fn ask(
        &self,
        known: &Self::Known,
        program: &Self::Program,
        call: usize,
        client: Client,
    ) -> impl Future<Output = (Operation<Self>, Option<Client>)> + Send + 'static;

    /// Each call of a run with its answer, and when it came as a place in the run's transcript;
    /// without one the run was over at `end`.
    fn history(
        &self,
        program: &Self::Program,
        answers: Vec<Option<(Operation<Self>, usize)>>,
        end: usize,
    ) -> Vec<Operation<Self>>;

    /// Every check of a run.
    fn judge(&self, seen: Seen<'_, Self>) -> Vec<Finding>;
}

/// The rows that a subject's programs leave.
pub type Rows<S> = <<S as Subject>::Program as Program>::Rows;

/// A subject's call with its answer.
pub type Operation<S> = <<S as Subject>::Program as Program>::Operation;

/// What a run has shown.
#[derive(Debug)]
pub struct Seen<'a, S: Subject> {
    /// What the target can do.
    pub known: &'a S::Known,
    /// What was to be expected.
    pub expected: &'a S::Expected,
    /// What was asked.
    pub program: &'a S::Program,
    /// What was answered.
    pub history: &'a [Operation<S>],
    /// What was left.
    pub rows: &'a Rows<S>,
    /// What the target's sessions left.
    pub aftermath: Aftermath,
    /// Whether something was broken on purpose.
    pub broken: bool,
}
