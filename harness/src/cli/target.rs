//! `rowlock target`: this program as the target of another `rowlock`.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use purchase_service::{Config, Service};

use super::stop::stop_signal;

#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    /// Which of the deliberately broken services; ours without
    #[arg(long)]
    mutant: Option<String>,
}

pub(super) async fn serve(args: TargetArgs) -> anyhow::Result<ExitCode> {
    let config = Config::from_env()?;
    let stop = stop_signal()?;
    let service = match args.mutant {
        None => Service::start(&config).await,
        Some(name) => match crate::mutants::purchaser(&name) {
            Some(mutant) => Service::start_with(&config, mutant.build).await,
            None => bail!("--mutant {name:?} is none of the mutants"),
        },
    };
    service
        .context("the service does not start")?
        .serve(stop)
        .await;
    Ok(ExitCode::SUCCESS)
}
