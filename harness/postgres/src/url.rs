//! A server that is there already, lent by whoever set DATABASE_URL.
//!
//! Databases of our own are made on it, under names that nobody else uses, and dropped at the
//! end; nothing else on it is touched. They stay behind if the harness is killed by SIGKILL.

use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::access::{Access, Database};
use super::{ServerError, Settings, StartError};

const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Url {
    access: Access,
    pub(super) version: String,
    prefix: String,
    created: Mutex<Vec<String>>,
}

impl Url {
    pub(super) async fn start(settings: &Settings) -> Result<Url, StartError> {
        let unusable = |what: String| StartError::Url { what };
        let url = settings.database_url.clone();
        let url = url.ok_or_else(|| unusable("DATABASE_URL is not set".into()))?;
        if !["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
        {
            return Err(unusable(
                "DATABASE_URL does not begin with postgres://".into(),
            ));
        }
        let options = PgConnectOptions::from_str(&url).map_err(|error| {
            unusable(format!("DATABASE_URL is no URL of a PostgreSQL: {error}"))
        })?;
        let access = Access { url, options };
        let version = match tokio::time::timeout(ANSWERS_WITHIN, inspect(&access)).await {
            Ok(inspected) => inspected.map_err(unusable)?,
            Err(_) => {
                let seconds = ANSWERS_WITHIN.as_secs();
                return Err(unusable(format!(
                    "DATABASE_URL's server is silent for {seconds} s"
                )));
            }
        };
        Ok(Url {
            access,
            version,
            prefix: prefix(),
            created: Mutex::default(),
        })
    }

    pub(super) fn access(&self) -> Access {
        self.access.clone()
    }

    pub(super) async fn create_database(
        &self,
        name: &str,
        template: Option<&Database>,
    ) -> Result<Database, ServerError> {
        let name = format!("{}_{name}", self.prefix);
        // Noted before it exists, so that it is dropped even if nobody waits for the answer.
        self.created().push(name.clone());
        let created = self.access.create(&name, template).await;
        if created
            .as_ref()
            .is_err_and(ServerError::is_duplicate_database)
        {
            let mut names = self.created();
            // It is there already, and if by us, then it has been noted twice.
            if let Some(last) = names.iter().rposition(|noted| *noted == name) {
                names.remove(last);
            }
        }
        created
    }

    pub(super) async fn drop_database(&self, name: &str) -> Result<(), ServerError> {
        self.access.drop(name).await?;
        self.created().retain(|created| created != name);
        Ok(())
    }

    pub(super) async fn drop_all(&self) -> Result<(), ServerError> {
        let created = self.created().clone();
        for name in created {
            self.drop_database(&name).await?;
        }
        Ok(())
    }

    fn created(&self) -> MutexGuard<'_, Vec<String>> {
        self.created.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Url {
    fn drop(&mut self) {
        if self.created().is_empty() {
            return;
        }
        // A destructor cannot await, and the caller's runtime may be going down with it.
        let drop_all = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let bounded = async { tokio::time::timeout(ANSWERS_WITHIN, self.drop_all()).await };
            match runtime.block_on(bounded) {
                Ok(dropped) => dropped.map_err(std::io::Error::other),
                Err(elapsed) => Err(std::io::Error::other(elapsed)),
            }
        };
        let result = std::thread::scope(|scope| scope.spawn(drop_all).join());
        if !matches!(result, Ok(Ok(()))) {
            tracing::warn!(databases = ?self.created(), "left behind on {}", self.access.address());
        }
    }
}

/// The version of a server on which we may do what we need; else what is in the way.
async fn inspect(access: &Access) -> Result<String, String> {
    let ask = async {
        let mut connection = access.options.connect().await?;
        sqlx::query_as(
            "select split_part(current_setting('server_version'), ' ', 1),
                    current_setting('server_version_num')::int,
                    (select rolcreatedb or rolsuper from pg_roles where rolname = current_user)",
        )
        .fetch_one(&mut connection)
        .await
    };
    let answer: Result<(String, i32, bool), sqlx::Error> = ask.await;
    match answer {
        Err(error) => Err(format!("DATABASE_URL's server does not answer: {error}")),
        Ok((version, number, _)) if number < 130_000 => Err(format!(
            "DATABASE_URL's server is PostgreSQL {version}, and 13 is needed"
        )),
        Ok((_, _, false)) => Err("DATABASE_URL's user may not create databases".to_owned()),
        Ok((version, _, true)) => Ok(version),
    }
}

/// `rowlock_` and eight hex digits, other ones at every start. Time and process id are enough:
/// it is a name and no choice of the run, and a name that is taken is refused by the server.
fn prefix() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mixed = now.as_micros() ^ (u128::from(std::process::id()) << 12);
    format!("rowlock_{:08x}", mixed & 0xffff_ffff)
}
