//! Which service a command is about.

use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::up_to;
use crate::mutants;
use crate::shop::{self, BuildPurchaser, OURS};
use crate::target::{Keys, START_TIMEOUT, TargetError, TargetSpec};

#[derive(Debug, Clone, Args)]
pub(super) struct ServiceArgs {
    /// Verify this program instead of our service: it listens on $PORT and uses $DATABASE_URL
    #[arg(long, value_name = "COMMAND", conflicts_with = "mutant", value_parser = command_line)]
    service_cmd: Option<String>,
    /// How many processes of the target share the database
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = up_to(1, 64))]
    replicas: usize,
    /// How long the target may take from its start to its first HTTP answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = START_TIMEOUT.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..))]
    start_timeout_s: u64,
    /// The target promises idempotency keys: what is sent again under a key happens once. Without
    /// it a target is held to keys only where it is seen to know them
    #[arg(long)]
    keys: bool,
    /// Verify one of the deliberately broken services instead of ours
    #[arg(long, hide = true, value_parser = mutant_names())]
    mutant: Option<String>,
}

pub(super) fn mutant_names() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(mutants::names())
}

/// Refuses at once what could not be started later.
fn command_line(line: &str) -> Result<String, TargetError> {
    TargetSpec::command(line, 1).map(|_| line.into())
}

impl ServiceArgs {
    /// Whether the command line says which service is meant.
    pub(super) fn is_named(&self) -> bool {
        self.service_cmd.is_some() || self.mutant.is_some() || self.replicas > 1 || self.keys
    }

    /// The service as one or more processes.
    pub(super) fn processes(&self) -> anyhow::Result<TargetSpec> {
        let start_timeout = Duration::from_secs(self.start_timeout_s);
        let target = self.program()?.with_start_timeout(start_timeout);
        Ok(self.promising(target))
    }

    /// The same in this process where that can be, which is faster and more easily controlled.
    pub(super) fn in_process(&self) -> anyhow::Result<TargetSpec> {
        if self.service_cmd.is_some() || self.replicas > 1 {
            return self.processes();
        }
        match self.mutant()? {
            Some((_, replicas)) if replicas > 1 => self.processes(),
            Some((purchaser, _)) => Ok(TargetSpec::in_process(BuildPurchaser {
                keys: match self.keys {
                    true => Keys::Promised,
                    false => purchaser.keys,
                },
                ..purchaser
            })),
            None => Ok(TargetSpec::in_process(OURS)),
        }
    }

    /// `target` with what the command line says that it promises.
    fn promising(&self, target: TargetSpec) -> TargetSpec {
        match self.keys {
            true => target.promising_keys(),
            false => target,
        }
    }

    /// What a witness of `recorded` is replayed on: the service that was asked for, and if none
    /// was, the mutant that is recorded.
    pub(super) fn replaying(&self, recorded: &str) -> anyhow::Result<TargetSpec> {
        let name = recorded.strip_prefix("mutant ");
        let is_mutant = name.is_some_and(|name| mutants::find(name).is_some());
        if !is_mutant || self.service_cmd.is_some() || self.mutant.is_some() {
            return self.in_process();
        }
        let recorded = ServiceArgs {
            mutant: name.map(str::to_owned),
            ..self.clone()
        };
        recorded.in_process()
    }

    fn program(&self) -> anyhow::Result<TargetSpec> {
        if let Some(command) = &self.service_cmd {
            return Ok(TargetSpec::command(command, self.replicas)?);
        }
        let rowlock = std::env::current_exe().context("cannot find this program's own file")?;
        match self.mutant()? {
            None => Ok(shop::ours(&rowlock, self.replicas)),
            Some((purchaser, needed)) => {
                let replicas = self.replicas.max(needed);
                Ok(shop::mutant(&rowlock, purchaser, replicas))
            }
        }
    }

    /// The purchaser that was asked for in place of ours, and how many replicas it needs.
    fn mutant(&self) -> anyhow::Result<Option<(BuildPurchaser, usize)>> {
        let Some(name) = &self.mutant else {
            return Ok(None);
        };
        let purchaser = mutants::purchaser(name).context("clap admits known mutants only")?;
        let needed = mutants::find(name).map_or(1, |mutant| mutant.replicas);
        Ok(Some((purchaser, needed)))
    }

    /// The flags that differ from their defaults, ready to paste.
    pub(super) fn repeat(&self) -> Vec<String> {
        let mut flags = Vec::new();
        if self.replicas != 1 {
            flags.push(format!("--replicas {}", self.replicas));
        }
        if self.start_timeout_s != START_TIMEOUT.as_secs() {
            flags.push(format!("--start-timeout-s {}", self.start_timeout_s));
        }
        if self.keys {
            flags.push("--keys".into());
        }
        if let Some(command) = &self.service_cmd {
            let quoted = shlex::try_quote(command).unwrap_or_default();
            flags.push(format!("--service-cmd {quoted}"));
        }
        if let Some(mutant) = &self.mutant {
            flags.push(format!("--mutant {mutant}"));
        }
        flags
    }
}
