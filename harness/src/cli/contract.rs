//! Which contract a command is about, if any.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use rowlock_contract::{Contract, ContractError};
use rowlock_postgres::Server;

use super::common::quoted;
use crate::contract::ContractSubject;
use crate::explorer::{Bounds, Setup};
use crate::target::{Described, TargetSpec};
use crate::trace::TraceFile;

#[derive(Debug, Clone, Args)]
pub(super) struct ContractArgs {
    /// Judge the service that this file describes; without it, the nearest rowlock.toml in the
    /// working directory or above it, where no other service is named
    #[arg(long, value_name = "FILE", conflicts_with_all = ["service_cmd", "mutant", "replicas", "keys"])]
    contract: Option<PathBuf>,
}

impl ContractArgs {
    /// The contract that was named, or is nearest where `may_be_found`.
    pub(super) fn read(&self, may_be_found: bool) -> anyhow::Result<Option<Described>> {
        match may_be_found || self.contract.is_some() {
            true => read(self.contract.as_deref()),
            false => Ok(None),
        }
    }

    /// The flag that names the same contract, ready to paste.
    pub(super) fn repeat(described: &Described) -> String {
        let file = described.contract.file.display().to_string();
        format!("--contract {}", quoted(&file))
    }
}

/// The contract in `file`, or the nearest one.
pub(super) fn read(file: Option<&Path>) -> anyhow::Result<Option<Described>> {
    let file = match file {
        Some(file) => file.to_owned(),
        None => {
            let here = std::env::current_dir().context("there is no working directory")?;
            match Contract::find(&here) {
                Ok(file) => file,
                Err(ContractError::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    };
    let contract = Contract::read(&file)?;
    Ok(Some(Described::new(Arc::new(contract))))
}

/// Makes the contract's database on `server`, and says what runs there.
pub(super) async fn set_up(
    described: Described,
    server: &Arc<Server>,
    trace: Option<TraceFile>,
) -> anyhow::Result<Setup<ContractSubject>> {
    let target = TargetSpec::Described(described.clone());
    let subject = ContractSubject::new(described, server).await?;
    Ok(Setup {
        subject,
        target_env: Vec::new(),
        server: Arc::clone(server),
        target,
        bounds: Bounds::default(),
        trace,
    })
}
