//! `rowlock init`: the first contract of a service, with what can be found out of it.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use rowlock_contract::contract::FILE_NAME;

use super::exit_code::Exit;
use super::output;
use crate::client::{Client, Clock};
use crate::init::{self, Operation, PATHS};

/// How long a running service may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Where the service is; its files say how it is started
    #[arg(default_value = ".", value_name = "DIR")]
    directory: PathBuf,
    /// A running instance, HOST:PORT, whose OpenAPI document says its calls
    #[arg(long, value_name = "HOST:PORT")]
    running: Option<String>,
}

pub(super) async fn init(args: InitArgs) -> anyhow::Result<ExitCode> {
    let path = args.directory.join(FILE_NAME);
    let operations = match &args.running {
        Some(address) => {
            let (at, operations) = ask(address).await?;
            output::complain(&format!("{} calls from {address}{at}", operations.len()));
            operations
        }
        None => Vec::new(),
    };
    let database_url = std::env::var("DATABASE_URL").ok();
    let found = init::discover(&args.directory, database_url.as_deref());
    let text = init::contract(&found, &operations);
    // Never over one that is there.
    let mut file = match File::create_new(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            output::complain(&format!(
                "error: {} is there already; nothing was changed",
                path.display()
            ));
            return Ok(Exit::Usage.into());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot write {}", path.display()));
        }
    };
    file.write_all(text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))?;
    output::write(&format!(
        "{}\nnext: read it, correct it, and then\n  rowlock explore --contract {}\n",
        path.display(),
        path.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The operations of a running service, and the path of its document.
async fn ask(address: &str) -> anyhow::Result<(&'static str, Vec<Operation>)> {
    let resolved = tokio::net::lookup_host(address).await;
    let resolved: Option<SocketAddr> = resolved
        .with_context(|| format!("--running {address:?} is no HOST:PORT"))?
        .next();
    let resolved = resolved.with_context(|| format!("--running {address:?} has no address"))?;
    for path in PATHS {
        let client = Client::connect(resolved, Clock::start(), PATIENCE).await;
        let mut client = client.with_context(|| format!("nothing answers at {address}"))?;
        let Ok(reply) = client.get(path).await else {
            continue;
        };
        let document: Option<serde_json::Value> = serde_json::from_slice(&reply.body).ok();
        if let Some(document) = document.filter(|_| reply.status == 200) {
            return Ok((path, init::operations(&document)));
        }
    }
    bail!(
        "{address} shows no OpenAPI document at {}",
        PATHS.join(", ")
    )
}
