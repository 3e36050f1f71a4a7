//! `rowlock target`: this program as the target of another `rowlock`.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use purchase_service::{Config, Service};

use super::stop::stop_signal;
use crate::mutants;

#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    /// Which of the deliberately broken services; ours without
    #[arg(long, value_parser = super::service::mutant_names())]
    mutant: Option<String>,
}

pub(super) async fn serve(args: TargetArgs) -> anyhow::Result<ExitCode> {
    let config = Config::from_env()?;
    let stop = stop_signal()?;
    let service = match args.mutant {
        None => Service::start(&config).await,
        Some(name) => {
            let mutant = mutants::purchaser(&name).context("clap admits known mutants only")?;
            Service::start_with(&config, mutant.build).await
        }
    };
    service
        .context("the service does not start")?
        .serve(stop)
        .await;
    Ok(ExitCode::SUCCESS)
}
