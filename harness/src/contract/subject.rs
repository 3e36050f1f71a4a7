//! What rig and explorer need of a service that a contract describes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rowlock_contract::database::{Background, Memory};
use rowlock_contract::{Completion, Contract, Meaning};
use rowlock_core::answer::Unknown;
use rowlock_core::finding::Finding;
use rowlock_core::serial::Mask;
use rowlock_postgres::{Database, Server};
use sqlx::PgConnection;

use super::judge::{self, Left};
use super::known::{Known, PATIENCE};
use super::program::Program;
use super::remarks::Remarks;
use super::serial::{Expected, Serial};
use super::story::{self, Standing, StoryAnswer, Telling, Told};
use super::template::{Template, settle, wrong};
use crate::baseline::{Baseline, OwnRows};
use crate::client::Client;
use crate::database::Inspector;
use crate::environment::EnvironmentError;
use crate::rig::Rig;
use crate::subject::{Seen, Subject};
use crate::target::{Described, Target, TargetSpec};

/// A service as its contract describes it.
#[derive(Debug, Clone)]
pub struct ContractSubject {
    described: Described,
    template: Arc<Template>,
    remarks: Arc<Mutex<Remarks>>,
}

impl ContractSubject {
    /// Does on `server` all that is done only once: migrations, SQL, and calls that fill the
    /// database.
    ///
    /// # Errors
    /// Failures of the environment, and what the contract says wrongly.
    pub async fn new(described: Described, server: &Server) -> Result<Self, EnvironmentError> {
        let template = Template::make(&described, server, PATIENCE).await?;
        Ok(ContractSubject {
            described,
            template: Arc::new(template),
            remarks: Arc::default(),
        })
    }

    /// Drops the database that the others are copies of.
    ///
    /// # Errors
    /// It could not be dropped.
    pub(crate) async fn discard(self, server: &Server) -> Result<(), EnvironmentError> {
        Ok(server.drop_database(&self.template.database).await?)
    }

    /// The same, served as `described` says; its database has been made the same way.
    pub(crate) fn served_by(&self, described: Described) -> ContractSubject {
        ContractSubject {
            described,
            template: Arc::clone(&self.template),
            remarks: Arc::default(),
        }
    }

    pub(super) fn contract(&self) -> &Contract {
        &self.described.contract
    }

    pub(super) fn shared_contract(&self) -> Arc<Contract> {
        Arc::clone(&self.described.contract)
    }

    /// The service, to be started.
    pub(super) fn target(&self) -> TargetSpec {
        TargetSpec::Described(self.described.clone())
    }

    /// Takes note of what is hidden.
    pub(super) fn remember_mask(&self, mask: &Mask) {
        self.lock_remarks().take_mask(mask);
    }

    /// Takes note of a run, and of how many of its calls gave way where an order serves them.
    pub(super) fn remember_run(&self, needlessly_gave_way: usize) {
        self.lock_remarks().take_run(needlessly_gave_way);
    }

    fn lock_remarks(&self) -> MutexGuard<'_, Remarks> {
        // A panic elsewhere leaves counts, which are as good as before.
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Subject::reset_sql`], with every sequence moved on.
    pub(super) fn reset_moved_on(
        &self,
        known: &Known,
        program: &Program,
        baseline: &Baseline,
        moved_on: i64,
    ) -> String {
        let rows = program.rows.as_deref().unwrap_or_default();
        let shared = Standing {
            variables: known.shared.clone(),
            ..Standing::default()
        };
        let shared = shared.with(program.with.clone()).unwrap_or(shared);
        let filled = rowlock_contract::Template::parse(rows)
            .ok()
            .and_then(|rows| rows.fill(&shared.variables).ok());
        format!(
            "{} {} {}",
            baseline.clear_sql(),
            baseline.sequences_moved_on_sql(moved_on),
            filled.as_deref().unwrap_or(rows)
        )
    }
}

impl Subject for ContractSubject {
    type Program = Program;
    type Known = Known;
    type Expected = Expected;

    fn own_rows(&self) -> OwnRows {
        OwnRows::default()
    }

    fn template(&self) -> Option<&Database> {
        Some(&self.template.database)
    }

    /// All that is laid out is in the template.
    async fn lay_out(&self, _inspector: &Inspector) -> Result<(), EnvironmentError> {
        Ok(())
    }

    /// Makes the calls that prepare each actor.
    async fn learn(
        &self,
        inspector: &mut Inspector,
        target: &Target,
        _patience: Duration,
    ) -> Result<Known, EnvironmentError> {
        settle(target, inspector).await?;
        let known = Known::prepare(self.shared_contract(), &self.template, target).await?;
        inspector.wait_for_rest().await?;
        inspector.remember(self.own_rows()).await?;
        Ok(known)
    }

    fn reset_sql(&self, known: &Known, program: &Program, baseline: &Baseline) -> String {
        self.reset_moved_on(known, program, baseline, 0)
    }

    async fn restore(&self, rig: &Rig<Self>) -> Result<(), EnvironmentError> {
        for command in &self.contract().database.restore {
            self.described.run(command, &rig.database().url()).await?;
        }
        Ok(())
    }

    fn remembers(&self) -> bool {
        self.contract().database.memory == Memory::Restart
    }

    async fn restart(&self, rig: &Rig<Self>) -> Result<(), EnvironmentError> {
        let url = rig.target_url();
        rig.target().restart(&self.described, &url).await?;
        settle(rig.target(), rig.inspector()).await
    }

    fn is_background(&self, sql: &str, application_name: &dyn Fn() -> String) -> bool {
        let mut background = self.contract().database.background.iter();
        background.any(|it| match it {
            Background::ApplicationName(_) => it.is(sql, &application_name()),
            Background::Text(_) | Background::Matches(_) => it.is(sql, ""),
        })
    }

    fn takes_alone(&self, expected: &Expected) -> Option<Duration> {
        Some(expected.takes_alone)
    }

    fn is_unheard_of(&self, expected: &Expected, call: usize, answer: &StoryAnswer) -> bool {
        expected.never_refuses_so(call, answer)
    }

    /// One that is started anew before each run has no login that could expire.
    async fn is_as_expected(
        &self,
        rig: &Rig<Self>,
        rows: &mut crate::rows::Rows,
        program: &Program,
        expected: &Expected,
    ) -> Result<Result<(), String>, EnvironmentError> {
        if self.remembers() {
            return Ok(Ok(()));
        }
        Serial::new(self, rig, rows, program)
            .ends_as(expected)
            .await
    }

    fn remarks(&self) -> Vec<String> {
        self.lock_remarks().lines(self.contract())
    }

    async fn expect(
        &self,
        rig: &Rig<Self>,
        rows: &mut crate::rows::Rows,
        program: &Program,
    ) -> Result<Expected, EnvironmentError> {
        if let Some(why) = program.unknown_to(self.contract()) {
            return Err(wrong(self.contract(), 0, &why));
        }
        Serial::new(self, rig, rows, program).expect().await
    }

    async fn read(
        &self,
        known: &Known,
        expected: &Expected,
        connection: &mut PgConnection,
    ) -> Result<Left, sqlx::Error> {
        let rows = self
            .read_tables(&expected.tables, &expected.known, connection)
            .await?;
        let numbers = self.read_numbers(known, connection).await?;
        Ok(Left::new(rows, &expected.initial, numbers))
    }

    fn ask(
        &self,
        known: &Known,
        program: &Program,
        call: usize,
        mut client: Client,
    ) -> impl Future<Output = (StoryAnswer, Option<Client>)> + Send + 'static {
        let participant = program.actors[call].clone();
        let standing = known.standing_of(&participant.actor);
        let contract = known.contract();
        let key = program.key_of(call);
        async move {
            let telling = Telling {
                contract: &contract,
                key: &key,
            };
            let answer = story::tell(telling, &participant, standing, &mut client).await;
            let client = client.is_open().then_some(client);
            (answer, client)
        }
    }

    /// Of a story without an answer nobody knows how far it got.
    fn history(
        &self,
        program: &Program,
        answers: Vec<Option<(StoryAnswer, usize)>>,
        _end: usize,
    ) -> Vec<StoryAnswer> {
        let unanswered = |index: usize| {
            let actor = &program.actors[index];
            let calls = actor.story.iter().map(|planned| Told {
                call: planned.call.clone(),
                status: None,
                completion: Completion::of(Meaning::Unknown, None, Unknown::TimedOut),
                said: String::new(),
                compared: Vec::new(),
            });
            StoryAnswer {
                label: actor.label(),
                calls: calls.collect(),
                broken_off: None,
            }
        };
        let answers = answers.into_iter().enumerate();
        let answers = answers.map(|(index, answer)| match answer {
            Some((answer, _)) => answer,
            None => unanswered(index),
        });
        answers.collect()
    }

    fn judge(&self, seen: Seen<'_, Self>) -> Vec<Finding> {
        judge::judge(self, &seen)
    }
}

impl Program {
    /// The idempotency key of an actor's calls.
    pub(super) fn key_of(&self, actor: usize) -> String {
        match &self.actors[actor].key {
            Some(name) => format!("rowlock-{name}"),
            None => format!("rowlock-{actor}-of-its-own"),
        }
    }
}
