//! Runs the purchase service until SIGTERM or SIGINT.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::Context;
use purchase_service::log::Log;
use purchase_service::{Config, run, server};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let log = Log::start(io::stderr(), io::stderr().is_terminal());
    let served = serve().await;
    let lost = log.lost();
    drop(log);
    if lost > 0 {
        eprintln!("purchase-service: {lost} lines of the log were lost: nobody read them in time");
    }
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("purchase-service: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> anyhow::Result<()> {
    server::raise_file_limit();
    let config = Config::from_env()?;
    let stop = stop_signal().context("could not wait for signals")?;
    Ok(run(&config, stop).await?)
}

/// Ends at the first SIGTERM or SIGINT.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
