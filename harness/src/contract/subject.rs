//! What rig and explorer need of a service that a contract describes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rowlock_contract::database::{Background, Memory};
use rowlock_contract::invariant::Predicate;
use rowlock_contract::{Completion, Contract, Meaning, Variables};
use rowlock_core::answer::Unknown;
use rowlock_core::finding::Finding;
use rowlock_core::rows::Rows;
use rowlock_core::serial::Mask;
use rowlock_postgres::{Database, Server};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::judge::{self, Left, Numbers};
use super::program::{PlannedCall, Program};
use super::remarks::Remarks;
use super::serial::{Expected, Serial};
use super::story::{self, Standing, StoryAnswer, Telling, Told};
use super::template::{Template, connect, must_be_ok, settle, standing_of, wrong};
use crate::baseline::{Baseline, OwnRows};
use crate::client::Client;
use crate::database::Inspector;
use crate::environment::EnvironmentError;
use crate::rig::Rig;
use crate::subject::{Seen, Subject};
use crate::tables::{self, Tables};
use crate::target::{Described, Target, TargetSpec};

/// How long a call that prepares, or is made alone, may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A service as its contract describes it.
#[derive(Debug, Clone)]
pub struct ContractSubject {
    described: Described,
    template: Arc<Template>,
    remarks: Arc<Mutex<Remarks>>,
}

/// The actors, ready to begin their stories.
#[derive(Debug)]
pub struct Known {
    contract: Arc<Contract>,
    standings: BTreeMap<String, Standing>,
    /// What everybody knows: what all have in common, and what each actor has, as `alice.token`.
    shared: Variables,
    /// The rows that a campaign's cases begin with on this rig.
    begun: OnceLock<Rows>,
}

impl Known {
    /// Takes note of the rows that cases begin with on this rig.
    pub(super) fn remember_begun(&self, rows: Rows) {
        // A rig settles in once.
        let _ = self.begun.set(rows);
    }

    pub(super) fn begun(&self) -> Option<&Rows> {
        self.begun.get()
    }

    pub(super) fn contract(&self) -> Arc<Contract> {
        Arc::clone(&self.contract)
    }

    pub(super) fn standing_of(&self, actor: &str) -> Standing {
        self.standings.get(actor).cloned().unwrap_or_default()
    }
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

    /// What the tables that are compared hold now.
    pub(super) async fn learn_tables(
        &self,
        tables: &Tables,
        connection: &mut PgConnection,
    ) -> Result<tables::Known, sqlx::Error> {
        let is_left_out = |table: &str| self.is_ignored(table);
        tables.learn(connection, is_left_out).await
    }

    fn is_ignored(&self, table: &str) -> bool {
        let ignored = &self.contract().database.ignore;
        ignored.iter().any(|it| it.is_table(table))
    }

    /// All tables that are compared; what is as in `known` need not be read again.
    pub(super) async fn read_tables(
        &self,
        tables: &Tables,
        known: &tables::Known,
        connection: &mut PgConnection,
    ) -> Result<Rows, sqlx::Error> {
        let is_left_out = |table: &str| self.is_ignored(table);
        let mut rows = tables.read(connection, is_left_out, Some(known)).await?;
        let ignored = &self.contract().database.ignore;
        for (name, table) in &mut rows.0 {
            let is_ignored = |column: &str| ignored.iter().any(|it| it.is_column(name, column));
            let hidden = table.columns.iter().map(|column| is_ignored(&column.name));
            let hidden: Vec<bool> = hidden.collect();
            for row in &mut table.rows {
                for (cell, hidden) in row.iter_mut().zip(&hidden) {
                    if *hidden {
                        *cell = None;
                    }
                }
            }
        }
        Ok(rows)
    }

    /// An invariant's query that PostgreSQL does not understand is the contract's mistake (class 42:
    /// syntax, and names that are not there).
    pub(super) fn wrong_query(&self, error: EnvironmentError) -> EnvironmentError {
        let EnvironmentError::Sql(sql) = &error else {
            return error;
        };
        let code = sql.as_database_error().and_then(|error| error.code());
        match code.is_some_and(|code| code.starts_with("42")) {
            true => wrong(self.contract(), 0, &format!("invariants: {sql}")),
            false => error,
        }
    }

    /// What the queries of the contract's invariants say now.
    pub(super) async fn read_numbers(
        &self,
        known: &Known,
        connection: &mut PgConnection,
    ) -> Result<Numbers, sqlx::Error> {
        let mut numbers = Numbers::new();
        for invariant in &self.contract().invariants {
            let (Predicate::NoRows(query) | Predicate::Number { query, .. }) = &invariant.predicate;
            let query = query.fill(&known.shared);
            let query = query
                .unwrap_or_default()
                .trim()
                .trim_end_matches(';')
                .to_owned();
            let sql = match &invariant.predicate {
                Predicate::NoRows(_) => {
                    format!("select found::text from ({query}) as found limit 5")
                }
                Predicate::Number { .. } => format!("select ({query})::text"),
            };
            let rows = sqlx::query(AssertSqlSafe(sql))
                .fetch_all(&mut *connection)
                .await?;
            let texts = rows.iter().map(|row| row.try_get::<Option<String>, _>(0));
            let texts: Result<Vec<_>, _> = texts.collect();
            numbers.insert(
                invariant.name.clone(),
                texts?.into_iter().flatten().collect(),
            );
        }
        Ok(numbers)
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
        let contract = Arc::clone(&self.described.contract);
        let mut standings = self.template.standings.clone();
        let address = target.address(0);
        let place = [
            ("port", address.port().to_string()),
            ("host", address.ip().to_string()),
            ("url", format!("http://{address}")),
        ];
        let shared = self.template.shared.with(place.clone());
        for actor in &contract.actors {
            let mut standing = match standings.remove(&actor.name) {
                Some(mut standing) => {
                    standing.variables = standing.variables.with(place.clone());
                    standing
                }
                None => standing_of(&contract, &actor.name, &shared)?,
            };
            if !actor.prepare.is_empty() {
                let mut client = connect(address, PATIENCE).await?;
                for planned in &actor.prepare {
                    let key = format!("rowlock-prepare-{}", actor.name);
                    let telling = Telling {
                        contract: &contract,
                        key: &key,
                    };
                    let planned = PlannedCall::of(planned);
                    must_be_ok(telling, &planned, &mut standing, &mut client).await?;
                }
            }
            standings.insert(actor.name.clone(), standing);
        }
        inspector.wait_for_rest().await?;
        inspector.remember(self.own_rows()).await?;
        let each = standings.iter();
        let each = each.flat_map(|(name, standing)| standing.variables.of_actor(name));
        let each: Vec<_> = each.collect();
        for standing in standings.values_mut() {
            standing.variables = standing.variables.with(each.clone());
        }
        Ok(Known {
            contract,
            standings,
            shared: shared.with(each),
            begun: OnceLock::new(),
        })
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
        let contract = Arc::clone(&known.contract);
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
