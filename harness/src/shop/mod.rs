//! The shop as a subject: its tables, its calls, and its own rules.
//!
//! ```text
//! probe      what a target can do, found out by a few purchases
//! tables     how its rows are put there and read
//! inspector  the same for a trial's database
//! buyer      a client that buys
//! load       many that buy at once
//! scenario   rows, workload and what must hold, one file each
//! stories    what is broken of it, step by step
//! campaign   faults at the steps of those
//! service    our own as a target
//! ```
//!
//! What its rows, answers and rules are stands in `rowlock_shop`, which does no I/O.

mod buyer;
pub mod campaign;
mod inspector;
mod load;
mod probe;
pub mod scenario;
mod service;
mod stories;
mod tables;

use std::time::Duration;

use rowlock_core::answer::Unknown;
use rowlock_core::finding::Finding;
use rowlock_shop::history::{Completion, Operation, Refusal};
use rowlock_shop::invariant::{Capabilities, Evidence};
use rowlock_shop::judgement::judge;
use rowlock_shop::program::Program;
use rowlock_shop::rows::FinalRows;
use sqlx::PgConnection;

use crate::baseline::{Baseline, OwnRows};
use crate::client::{Client, Clock};
use crate::database::Inspector;
use crate::environment::EnvironmentError;
use crate::rig::Rig;
use crate::rows::Rows;
use crate::subject::{Seen, Subject};
use crate::target::Target;

pub use load::{open, rush};
pub(crate) use service::locked;
pub use service::{BuildPurchaser, OURS, mutant, ours};
pub use stories::Story;

/// The shop, whoever serves it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shop;

impl Subject for Shop {
    type Program = Program;
    type Known = Capabilities;
    type Expected = ();

    fn own_rows(&self) -> OwnRows {
        tables::OWN_ROWS
    }

    async fn lay_out(&self, inspector: &Inspector) -> Result<(), EnvironmentError> {
        let migrated = purchase_service::MIGRATOR.run(inspector.pool()).await;
        Ok(migrated.map_err(sqlx::Error::from)?)
    }

    /// It leaves no row of the shop's.
    async fn learn(
        &self,
        inspector: &mut Inspector,
        target: &Target,
        patience: Duration,
    ) -> Result<Capabilities, EnvironmentError> {
        probe::probe(inspector, target, Clock::start(), patience).await
    }

    fn reset_sql(&self, _known: &Self::Known, program: &Program, baseline: &Baseline) -> String {
        tables::reset_sql(&program.initial, baseline)
    }

    /// The model says what is to be expected.
    async fn expect(
        &self,
        rig: &Rig<Shop>,
        _rows: &mut Rows,
        program: &Program,
    ) -> Result<(), EnvironmentError> {
        if program.repeats_keys() && !rig.known().idempotency_keys {
            let program = &program.name;
            return Err(EnvironmentError::NotAsked(format!(
                "program {program} repeats an Idempotency-Key, and the target knows no such keys"
            )));
        }
        Ok(())
    }

    async fn read(
        &self,
        known: &Capabilities,
        (): &(),
        connection: &mut PgConnection,
    ) -> Result<FinalRows, sqlx::Error> {
        tables::read_rows(connection, known.purchase_rows).await
    }

    fn ask(
        &self,
        _known: &Capabilities,
        program: &Program,
        call: usize,
        mut client: Client,
    ) -> impl Future<Output = (Operation, Option<Client>)> + Send + 'static {
        let request = program.requests[call].clone();
        async move {
            let operation = client.purchase(request).await;
            let client = client.is_open().then_some(client);
            (operation, client)
        }
    }

    fn history(
        &self,
        program: &Program,
        answers: Vec<Option<(Operation, usize)>>,
        end: usize,
    ) -> Vec<Operation> {
        let requests = program.requests.iter().zip(answers).enumerate();
        let history = requests.map(|(index, (request, answer))| {
            let (status, completion, place) = match answer {
                Some((operation, place)) => (operation.status, operation.completion, place),
                None => (None, Completion::Info(Unknown::TimedOut), end),
            };
            // What was never sent cannot have happened, but here every request was.
            let completion = match completion {
                Completion::Fail(Refusal::NotSent) => Completion::Info(Unknown::ConnectionLost),
                completion => completion,
            };
            Operation {
                request: request.clone(),
                intended_ns: index as u64,
                invoked_ns: index as u64,
                completed_ns: place as u64,
                status,
                completion,
            }
        });
        history.collect()
    }

    fn judge(&self, seen: Seen<'_, Shop>) -> Vec<Finding> {
        judge(&Evidence {
            initial: seen.program.initial.clone(),
            history: seen.history.to_vec(),
            rows: seen.rows.clone(),
            aftermath: seen.aftermath,
            faults: seen.broken,
            capabilities: *seen.known,
        })
    }
}
