//! The database with all that is done only once: migrations, SQL, and calls that fill it.
//!
//! Every worker and every trial gets a copy of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rowlock_contract::database::Seed;
use rowlock_contract::{Contract, Meaning, Variables};
use rowlock_core::call::{NoReply, Reply};
use rowlock_postgres::{Database, Server};

use super::program::PlannedCall;
use super::story::{self, Standing, Telling};
use crate::client::{Client, Clock};
use crate::database::Inspector;
use crate::environment::EnvironmentError;
use crate::target::{Described, Target, TargetSpec};

/// A template, and what was learned while it was made.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) database: Database,
    /// What all actors have in common.
    pub(super) shared: Variables,
    /// The actors that have called.
    pub(super) standings: BTreeMap<String, Standing>,
}

impl Template {
    /// Does all that is done once.
    pub(super) async fn make(
        described: &Described,
        server: &Server,
        patience: Duration,
    ) -> Result<Template, EnvironmentError> {
        let contract = &described.contract;
        let database = server.create_database("contract_template").await?;
        let url = database.url();
        for command in &contract.database.migrate {
            described.run(command, &url).await?;
        }
        let inspector = Inspector::open(database.options()).await?;
        let variables = described.variables(&url);
        let shared = contract.shared_variables(&variables);
        let mut template = Template {
            database,
            shared: shared.map_err(|error| wrong(contract, 0, &error.to_string()))?,
            standings: BTreeMap::new(),
        };
        let start = async || {
            let target = TargetSpec::Described(described.clone());
            let target = Target::start(&target, &url, &[]).await?;
            settle(&target, &inspector).await?;
            Ok::<_, EnvironmentError>(target)
        };
        let mut target = None;
        if let Some(seed) = &contract.database.sql {
            let sql = seed_sql(contract, seed, &variables)?;
            let mut filled = inspector.execute(sql.clone()).await;
            // The service may make its schema itself, as it starts.
            if filled.as_ref().is_err_and(is_undefined_table) {
                target = Some(start().await?);
                filled = inspector.execute(sql).await;
            }
            filled.map_err(|error| match error {
                EnvironmentError::Sql(error) => {
                    wrong(contract, 0, &format!("database.sql: {error}"))
                }
                error => error,
            })?;
        }
        if !contract.database.calls.is_empty() {
            let target = match target.as_ref() {
                Some(target) => target,
                None => target.insert(start().await?),
            };
            template.call(contract, target, patience).await?;
        }
        if let Some(target) = target {
            target.stop().await;
        }
        // Nobody may be connected to a database that is copied.
        inspector.wait_for_no_sessions().await?;
        inspector.close().await;
        Ok(template)
    }

    /// Makes the calls that fill the database.
    async fn call(
        &mut self,
        contract: &Contract,
        target: &Target,
        patience: Duration,
    ) -> Result<(), EnvironmentError> {
        let address = target.address(0);
        let mut client = connect(address, patience).await?;
        for seed in &contract.database.calls {
            let mut standing = match &seed.actor {
                Some(name) => match self.standings.remove(name) {
                    Some(standing) => standing,
                    None => standing_of(contract, name, &self.shared)?,
                },
                None => Standing {
                    variables: self.shared.clone(),
                    ..Standing::default()
                },
            };
            let telling = Telling {
                contract,
                key: "rowlock-seed",
            };
            let planned = PlannedCall::of(&seed.planned);
            must_be_ok(telling, &planned, &mut standing, &mut client).await?;
            match &seed.actor {
                Some(name) => drop(self.standings.insert(name.clone(), standing)),
                None => self.shared = standing.variables,
            }
        }
        Ok(())
    }
}

/// How long a target must have had nothing to do to be taken for settled.
const QUIET: Duration = Duration::from_millis(200);

/// How long it may take to that.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// How often it is looked at meanwhile.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Waits until a target that has started has nothing more to do: it may answer before it has made
/// its tables. One that never rests is taken as it is after a while.
pub(super) async fn settle(target: &Target, inspector: &Inspector) -> Result<(), EnvironmentError> {
    let is_busy = target.activity();
    let deadline = Instant::now() + SETTLED_WITHIN;
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < QUIET && Instant::now() < deadline {
        if is_busy() || inspector.is_at_work().await? {
            quiet_since = Instant::now();
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

fn is_undefined_table(error: &EnvironmentError) -> bool {
    const UNDEFINED_TABLE: &str = "42P01";
    let EnvironmentError::Sql(error) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some(UNDEFINED_TABLE)
}

fn seed_sql(
    contract: &Contract,
    seed: &Seed,
    variables: &Variables,
) -> Result<String, EnvironmentError> {
    match seed {
        Seed::Text(template) => template
            .fill(variables)
            .map_err(|error| wrong(contract, 0, &error.to_string())),
        Seed::File(path) => std::fs::read_to_string(path)
            .map_err(|error| wrong(contract, 0, &format!("{}: {error}", path.display()))),
    }
}

/// An actor before its first call.
pub(super) fn standing_of(
    contract: &Contract,
    name: &str,
    shared: &Variables,
) -> Result<Standing, EnvironmentError> {
    let Some(actor) = contract.actor(name) else {
        return Err(wrong(contract, 0, &format!("there is no actor `{name}`")));
    };
    let variables = actor.fill_variables(shared);
    let variables = variables.map_err(|error| wrong(contract, actor.line, &error.to_string()))?;
    Ok(Standing {
        variables,
        ..Standing::default()
    })
}

/// Makes a call that prepares something: whatever comes back but `ok` is the contract's mistake.
pub(super) async fn must_be_ok(
    telling: Telling<'_>,
    planned: &PlannedCall,
    standing: &mut Standing,
    client: &mut Client,
) -> Result<(), EnvironmentError> {
    let contract = telling.contract;
    let line = contract.call(&planned.call).map_or(0, |call| call.line);
    let made = story::make(telling, planned, standing, client).await;
    let (told, reply) = made.map_err(|why| wrong(contract, line, &why))?;
    if told.completion.means == Meaning::Ok {
        let captured = contract.call(&planned.call).zip(reply.as_ref().ok());
        let captured = captured.map(|(call, reply)| call.capture(reply));
        return match captured {
            Some(Err(error)) => Err(wrong(contract, line, &error.to_string())),
            _ => Ok(()),
        };
    }
    let why = format!(
        "call `{}` prepares something and was not ok: {}",
        planned.call,
        describe(&told.reply(), &reply)
    );
    Err(wrong(contract, line, &why))
}

fn describe(told: &str, reply: &Result<Reply, NoReply>) -> String {
    match reply {
        Ok(reply) => format!(
            "{told}; it was answered {}",
            rowlock_contract::source::describe(reply)
        ),
        Err(_) => told.to_owned(),
    }
}

pub(super) async fn connect(
    address: std::net::SocketAddr,
    patience: Duration,
) -> Result<Client, EnvironmentError> {
    let connected = Client::connect(address, Clock::start(), patience).await;
    connected.map_err(|source| EnvironmentError::Connect {
        index: 0,
        count: 1,
        source,
    })
}

/// A contract that says what is not so.
pub(super) fn wrong(contract: &Contract, line: usize, why: &str) -> EnvironmentError {
    let file = contract.file.display();
    EnvironmentError::Contract(match line {
        0 => format!("{file}: {why}"),
        line => format!("{file}:{line}: {why}"),
    })
}
