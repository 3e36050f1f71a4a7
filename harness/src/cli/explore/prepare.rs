//! What is explored, and where: a program of the shop or of a contract, on a server of its own.

use std::sync::Arc;

use anyhow::Context;
use clap::CommandFactory;
use clap::error::ErrorKind;
use rowlock_postgres::Server;
use rowlock_shop::program::{self, PROGRAMS};

use super::super::contract::{ContractArgs, set_up};
use super::super::{Cli, output};
use super::ExploreArgs;
use crate::contract::{self, ContractSubject};
use crate::explorer::{Bounds, Setup};
use crate::progress::Progress;
use crate::shop::Shop;
use crate::subject::Subject;
use crate::target::{Described, TargetSpec};
use crate::trace::TraceFile;

/// A program, and where it runs.
#[derive(Debug)]
pub(in crate::cli) struct Prepared<S: Subject> {
    pub(in crate::cli) server: Arc<Server>,
    pub(in crate::cli) setup: Setup<S>,
    pub(in crate::cli) program: S::Program,
    /// The flags that name the same server and target, ready to paste.
    pub(in crate::cli) flags: String,
}

impl ExploreArgs {
    /// The contract that is meant, if one is.
    pub(in crate::cli) fn described(&self) -> anyhow::Result<Option<Described>> {
        let is_shop = self.service.is_named()
            || self
                .program
                .as_deref()
                .is_some_and(|name| program::find(name).is_some());
        self.contract.read(!is_shop)
    }

    /// The shop's program that is meant.
    pub(in crate::cli) fn shop_program(&self) -> anyhow::Result<program::Program> {
        let name = self.program.as_deref().unwrap_or("one-item");
        let Some(template) = program::find(name) else {
            let known = PROGRAMS.iter().map(|program| program.name.to_owned());
            unknown_program(name, known, "the shop");
        };
        Ok(template.program(self.buyers))
    }

    /// The contract's program that is meant.
    pub(in crate::cli) fn contract_program(
        &self,
        described: &Described,
    ) -> anyhow::Result<contract::Program> {
        contract_program(self.program.as_deref(), described)
    }

    /// Writes what is for people, if people are to read it.
    fn say(&self, text: &str) -> anyhow::Result<()> {
        match self.is_quiet {
            true => Ok(()),
            false => output::write(text),
        }
    }

    /// Starts PostgreSQL, and says what is run where.
    async fn start(&self, target: &TargetSpec, progress: &Progress) -> anyhow::Result<Arc<Server>> {
        progress.say("starting PostgreSQL");
        let server = Arc::new(Server::start(&self.postgres.exploring()).await?);
        self.say(&format!(
            "postgres: {}\ntarget:   {}\n",
            server.description(),
            target.describe()
        ))?;
        Ok(server)
    }

    pub(in crate::cli) async fn prepare_shop(
        &self,
        program: program::Program,
        progress: &Progress,
        trace: Option<TraceFile>,
    ) -> anyhow::Result<Prepared<Shop>> {
        let target = self.service.in_process()?;
        let server = self.start(&target, progress).await?;
        Ok(Prepared {
            setup: Setup {
                subject: Shop,
                target_env: Vec::new(),
                server: Arc::clone(&server),
                target,
                bounds: Bounds::default(),
                trace,
            },
            server,
            program,
            flags: self.service_flags(),
        })
    }

    pub(in crate::cli) async fn prepare_contract(
        &self,
        described: Described,
        program: contract::Program,
        progress: &Progress,
        trace: Option<TraceFile>,
    ) -> anyhow::Result<Prepared<ContractSubject>> {
        let flags = self.contract_flags(&described);
        let target = TargetSpec::Described(described.clone());
        let server = self.start(&target, progress).await?;
        self.say(&format!(
            "contract: {}\nprogram:  {}\n",
            described.contract.file.display(),
            program.name
        ))?;
        progress.say("making the database");
        Ok(Prepared {
            setup: set_up(described, &server, trace).await?,
            server,
            program,
            flags,
        })
    }

    /// The flags that name the same server and service, ready to paste.
    pub(in crate::cli) fn service_flags(&self) -> String {
        [self.postgres.repeat(), self.service.repeat()]
            .concat()
            .join(" ")
    }

    /// The flags that name the same server and contract, ready to paste.
    pub(in crate::cli) fn contract_flags(&self, described: &Described) -> String {
        let mut flags = vec![ContractArgs::repeat(described)];
        flags.extend(self.postgres.repeat());
        flags.join(" ")
    }
}

/// The program of a contract that has this name, or the first.
pub(in crate::cli) fn contract_program(
    name: Option<&str>,
    described: &Described,
) -> anyhow::Result<contract::Program> {
    let programs = contract::programs(&described.contract);
    let file = described.contract.file.display().to_string();
    let found = match name {
        None => programs.first(),
        Some(name) => match programs.iter().find(|program| program.name == name) {
            Some(program) => Some(program),
            None => {
                let written = &described.contract.programs;
                let known = programs.iter().map(|program| {
                    match written.iter().find(|spec| spec.name == program.name) {
                        Some(spec) => format!("{} ({file}:{})", program.name, spec.line),
                        None => program.name.clone(),
                    }
                });
                unknown_program(name, known, &file)
            }
        },
    };
    found
        .cloned()
        .with_context(|| format!("{file} has no story that could be explored"))
}

/// Ends the process: there is no such program.
fn unknown_program(name: &str, known: impl Iterator<Item = String>, of: &str) -> ! {
    let known: Vec<_> = known.map(|known| format!("  {known}\n")).collect();
    let message = format!("{of} has no program {name:?}; it has\n{}", known.concat());
    Cli::command()
        .error(ErrorKind::InvalidValue, message)
        .exit()
}
