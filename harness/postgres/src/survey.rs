//! Where a PostgreSQL could come from here, found out without starting one.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};

use super::binaries::Binaries;
use super::engine::Engine;
use super::{Provider, Settings};

/// How long the server of DATABASE_URL may take to let somebody in.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);

/// One provider, and whether it could be used.
#[derive(Debug)]
pub struct Surveyed {
    /// Which.
    pub provider: Provider,
    /// What is there, or why nothing is.
    pub found: Result<String, String>,
}

/// Every provider that `settings` could mean.
pub async fn survey(settings: &Settings) -> [Surveyed; 3] {
    let container = match Engine::connect().await {
        Ok(_) => Ok(format!(
            "a container engine answers; the image is {}",
            settings.image
        )),
        Err(error) => Err(in_full(&error)),
    };
    let local = match Binaries::find(settings.pg_bin.as_deref()) {
        Ok(found) => Ok(format!(
            "PostgreSQL {} in {}",
            found.version,
            found.directory.display()
        )),
        Err(error) => Err(in_full(&error)),
    };
    let url = match &settings.database_url {
        Some(url) => connect(url).await,
        None => Err("DATABASE_URL is not set".into()),
    };
    let found = |(provider, found)| Surveyed { provider, found };
    [
        (Provider::Container, container),
        (Provider::Local, local),
        (Provider::Url, url),
    ]
    .map(found)
}

async fn connect(url: &str) -> Result<String, String> {
    let options = PgConnectOptions::from_str(url).map_err(|error| in_full(&error))?;
    let connecting = tokio::time::timeout(CONNECTS_WITHIN, options.connect());
    let connection: PgConnection = match connecting.await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(in_full(&error)),
        Err(_) => return Err(format!("no answer for {} s", CONNECTS_WITHIN.as_secs())),
    };
    let closed = connection.close().await;
    closed.map_err(|error| in_full(&error))?;
    Ok("the server of DATABASE_URL lets us in".into())
}

fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
