//! The `rowlock` command.

use std::process::ExitCode;

use clap::Parser;
use rowlock::cli::Cli;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(cli.log_filter()));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // They would be said on the same standard error.
        .log_internal_errors(false)
        .init();
    purchase_service::server::raise_file_limit();
    cli.execute().await
}
