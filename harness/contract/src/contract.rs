//! A whole contract, and how to get at its parts.

use std::path::{Path, PathBuf};

use rowlock_core::call::Call;

use crate::actor::{Actor, Atomic, Participant, PlannedCall, ProgramSpec, SharedVariable};
use crate::call::{CallSpec, FillError};
use crate::database::Database;
use crate::error::ContractError;
use crate::invariant::Invariant;
use crate::read;
use crate::service::Service;
use crate::template::{MissingVariable, set_all};
use crate::variables::Variables;

/// The name that a contract has where nobody says which.
pub const FILE_NAME: &str = "rowlock.toml";

/// What a service says of itself. All names in it lead somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// The file that it was read from.
    pub file: PathBuf,
    /// What the subject is called: what the contract says, or its directory's name.
    pub name: String,
    /// How it starts.
    pub service: Service,
    /// What its database holds.
    pub database: Database,
    /// What all actors have in common.
    pub variables: Vec<SharedVariable>,
    /// Its calls in the order of the file.
    pub calls: Vec<CallSpec>,
    /// Its actors in the order of the file; one without variables where the file has none.
    pub actors: Vec<Actor>,
    /// Its programs; where there are none, they are to be made.
    pub programs: Vec<ProgramSpec>,
    /// What a serial order is made of where no program says otherwise.
    pub atomic: Atomic,
    /// What must hold.
    pub invariants: Vec<Invariant>,
}

impl Contract {
    /// Reads a file that is to be used here and now: what it needs of this process's environment, and
    /// the files and directories that it names, must be there.
    pub fn read(file: &Path) -> Result<Self, ContractError> {
        let text = std::fs::read_to_string(file).map_err(|source| ContractError::Unreadable {
            file: file.to_owned(),
            source,
        })?;
        read::contract(&text, file, Some(&Variables::of_environment()))
    }

    /// Reads a contract's text, whatever is there of files and environment. What is relative in it is relative to where `file` is.
    pub fn parse(text: &str, file: impl AsRef<Path>) -> Result<Self, ContractError> {
        read::contract(text, file.as_ref(), None)
    }

    /// The nearest `rowlock.toml` in a directory or above it.
    pub fn find(start: &Path) -> Result<PathBuf, ContractError> {
        let start = std::path::absolute(start).map_err(|source| ContractError::Unreadable {
            file: start.to_owned(),
            source,
        })?;
        let files = start.ancestors().map(|directory| directory.join(FILE_NAME));
        let mut there = files.filter(|file| file.is_file());
        there.next().ok_or_else(|| ContractError::NotFound {
            start: start.clone(),
        })
    }

    /// The call of that name.
    pub fn call(&self, name: &str) -> Option<&CallSpec> {
        self.calls.iter().find(|call| call.name == name)
    }

    /// The actor of that name.
    pub fn actor(&self, name: &str) -> Option<&Actor> {
        self.actors.iter().find(|actor| actor.name == name)
    }

    /// Fills a planned call with variables, those of its own above them.
    pub fn fill(
        &self,
        planned: &PlannedCall,
        variables: &Variables,
        key: Option<&str>,
    ) -> Result<Call, FillError> {
        let Some(call) = self.call(&planned.call) else {
            return Err(FillError::NoSuchCall {
                call: planned.call.clone(),
            });
        };
        let mut variables = variables.clone();
        variables.push();
        set_all(&planned.with, &mut variables).map_err(|source| FillError::Missing {
            call: planned.call.clone(),
            place: "with".to_owned(),
            source,
        })?;
        call.fill(&variables, key)
    }

    /// What all actors have in common, on a layer above `outside`.
    pub fn shared_variables(&self, outside: &Variables) -> Result<Variables, MissingVariable> {
        let mut variables = outside.clone();
        variables.push();
        for variable in &self.variables {
            if let Some(first) = variable.values.first() {
                let value = first.fill(&variables)?;
                variables.set(&variable.name, value);
            }
        }
        Ok(variables)
    }
}

impl Actor {
    /// The actor's own variables and name, on a layer above `shared`.
    pub fn fill_variables(&self, shared: &Variables) -> Result<Variables, MissingVariable> {
        let mut variables = shared.clone();
        variables.push();
        variables.set("actor", self.name.as_str());
        set_all(&self.variables, &mut variables)?;
        Ok(variables)
    }
}

impl Participant {
    /// What the program sets for it, on a layer above what the actor has.
    pub fn fill_variables(&self, of_actor: &Variables) -> Result<Variables, MissingVariable> {
        let mut variables = of_actor.clone();
        variables.push();
        set_all(&self.with, &mut variables)?;
        Ok(variables)
    }
}
