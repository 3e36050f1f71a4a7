//! The shop by nothing but a contract: no model, no invariant, and its own serial orders as what is
//! right.

use std::path::Path;
use std::sync::Arc;

use rowlock_contract::service::Command;
use rowlock_contract::{Contract, Template};
use rowlock_postgres::Server;

use super::variant::Variant;
use crate::contract::{ContractStories, ContractSubject, Program, Seat, programs};
use crate::environment::EnvironmentError;
use crate::mutants;
use crate::target::Described;

/// The contract, for whoever serves the shop.
const CONTRACT: &str = include_str!("../../../examples/contracts/shop.toml");

/// What a report calls its file.
const FILE: &str = "examples/contracts/shop.toml";

/// The program whose first story is broken: each of two users wants the last unit.
const BROKEN_IN: &str = "one-item";

/// The story that is broken, alone and with the other beside it.
pub(super) const BROKEN: Seat = Seat {
    is_repeat: false,
    actor: 0,
};

/// The contract, and a subject of it on one server.
#[derive(Debug)]
pub(super) struct ByContract {
    contract: Contract,
    subject: ContractSubject,
}

impl ByContract {
    /// Makes the contract's database on `server`.
    ///
    /// # Errors
    /// A contract that cannot be read, and failures of the environment.
    pub(super) async fn new(server: &Server) -> Result<ByContract, EnvironmentError> {
        let contract = Contract::parse(CONTRACT, FILE);
        let contract = contract.map_err(|error| EnvironmentError::Contract(error.to_string()))?;
        let described = Described::new(Arc::new(contract.clone()));
        Ok(ByContract {
            subject: ContractSubject::new(described, server).await?,
            contract,
        })
    }

    /// Drops what was made of it on `server`.
    ///
    /// # Errors
    /// The database could not be dropped.
    pub(super) async fn discard(self, server: &Server) -> Result<(), EnvironmentError> {
        self.subject.discard(server).await
    }

    pub(super) fn contract(&self) -> &Contract {
        &self.contract
    }

    /// The subject, served by `variant`.
    pub(super) fn subject(&self, variant: &Variant, rowlock: &Path) -> ContractSubject {
        let mut contract = self.contract.clone();
        let rowlock = rowlock.display().to_string();
        // As the contract's own command has it: orders that share a transaction do not meet.
        let mut words = ["env", "MAX_BATCH=1", &rowlock, "target"]
            .map(str::to_owned)
            .to_vec();
        if mutants::purchaser(variant.name()).is_some() {
            words.extend(["--mutant".to_owned(), variant.name().to_owned()]);
        }
        let words = words.into_iter().map(Template::literal);
        contract.service.process.command = Command::Words(words.collect());
        contract.service.replicas = u16::try_from(variant.replicas).unwrap_or(1);
        self.subject.served_by(Described::new(Arc::new(contract)))
    }

    /// The stories of it that are broken.
    pub(super) fn stories(&self, variant: &Variant, rowlock: &Path) -> Option<ContractStories> {
        let subject = self.subject(variant, rowlock);
        let mut programs = programs(&self.contract).into_iter();
        let program: Option<Program> = programs.find(|program| program.name == BROKEN_IN);
        program.map(|program| ContractStories::new(subject, program))
    }
}
