//! Which contract a command is about, if any.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use rowlock_contract::{Contract, ContractError};

use crate::target::Described;

#[derive(Debug, Clone, Args)]
pub(super) struct ContractArgs {
    /// Judge the service that this file describes; without it, the nearest rowlock.toml in the
    /// working directory or above it, where no other service is named
    #[arg(long, value_name = "FILE", conflicts_with_all = ["service_cmd", "mutant", "replicas"])]
    contract: Option<PathBuf>,
}

impl ContractArgs {
    /// The contract that was named, or is nearest where `may_be_found`.
    pub(super) fn read(&self, may_be_found: bool) -> anyhow::Result<Option<Described>> {
        let file = match &self.contract {
            Some(file) => file.clone(),
            None if !may_be_found => return Ok(None),
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

    /// The flag that names the same contract, ready to paste.
    pub(super) fn repeat(described: &Described) -> String {
        let file = described.contract.file.display().to_string();
        let quoted = match shlex::try_quote(&file) {
            Ok(quoted) => quoted.into_owned(),
            Err(_) => file.clone(),
        };
        format!("--contract {quoted}")
    }
}
