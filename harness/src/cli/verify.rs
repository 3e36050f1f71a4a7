//! `rowlock verify`: all that is known of a service, one part after another.
//!
//! Without a contract these are the scenarios. With one they are the commands that a user could give
//! one by one: every program explored, its actors let go at once, and its steps broken.

use std::process::ExitCode;

use clap::Parser;

use super::common::quoted;
use super::contract::ContractArgs;
use super::{Cli, RunArgs, output, run};
use crate::contract::programs;
use crate::target::Described;

pub(super) async fn verify(args: RunArgs) -> anyhow::Result<ExitCode> {
    match args.contract.read(!args.common.service.is_named())? {
        None => run::verify(args).await,
        Some(described) => verify_contract(&args, &described).await,
    }
}

/// Gives the worst of the parts' exit codes; a signal ends them all.
async fn verify_contract(args: &RunArgs, described: &Described) -> anyhow::Result<ExitCode> {
    let mut worst = ExitCode::SUCCESS;
    for line in parts(args, described) {
        output::write(&format!("== rowlock {line}\n"))?;
        let words = shlex::split(&line).unwrap_or_default();
        let words = ["rowlock".to_owned()].into_iter().chain(words);
        let code = Box::pin(Cli::try_parse_from(words)?.execute()).await;
        output::write("\n")?;
        if severity(code) > severity(worst) {
            worst = code;
        }
        if code == super::exit_code::Exit::Interrupted.into() {
            break;
        }
    }
    Ok(worst)
}

/// The command lines of the parts.
fn parts(args: &RunArgs, described: &Described) -> Vec<String> {
    let mut common = vec![ContractArgs::repeat(described)];
    common.extend(args.common.postgres.repeat());
    let common = common.join(" ");
    let programs = programs(&described.contract);
    let mut parts: Vec<_> = programs
        .iter()
        .map(|program| format!("explore {} {common}", quoted(&program.name)))
        .collect();
    parts.push(format!("run burst --actors {} {common}", args.actors));
    parts.push(format!("faults {common}"));
    parts
}

/// What decides where parts end differently: a violation most of all, then what kept a part from
/// concluding anything.
fn severity(code: ExitCode) -> usize {
    use super::exit_code::Exit::{Environment, Held, Interrupted, NotProven, Usage, Violated};
    let order = [Held, NotProven, Environment, Usage, Interrupted, Violated];
    let order = order.map(ExitCode::from);
    order.iter().position(|known| *known == code).unwrap_or(0)
}
