//! From a file's text to a contract, or to all its mistakes.
//!
//! The one idea: a table knows which keys it has been asked for, so what is allowed is what somebody
//! reads, and needs no list beside it. A mistake is noted and the reading goes on.

mod actors;
mod answers;
mod body;
mod calls;
mod check;
mod context;
mod database;
mod entry;
mod invariants;
mod nearest;
mod programs;
mod service;
mod source;
mod table;
mod values;
mod walk;

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use self::context::{Context, Referent};
use self::table::Table;
use crate::actor::Atomic;
use crate::contract::Contract;
use crate::error::{ContractError, Problem};
use crate::variables::Variables;

/// Reads a contract that is, or would be, in `file`; with `outside`, what it needs of the environment
/// and of the files beside it must be there.
pub(crate) fn contract(
    text: &str,
    file: &Path,
    outside: Option<&Variables>,
) -> Result<Contract, ContractError> {
    let context = Context::new(text, outside);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let offset = error.span().map_or(0, |span| span.start);
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        context.wrong(offset, "", message);
    }
    let contract = match errors.is_empty() {
        true => whole(&context, table.get_ref(), file),
        false => None,
    };
    match contract {
        Some(contract) if context.is_right_so_far() => Ok(contract),
        _ => Err(ContractError::Invalid {
            file: file.to_owned(),
            problems: at_least_one(context.problems()),
        }),
    }
}

/// Nothing comes to nothing without a mistake that was noted; should it, that is said.
fn at_least_one(mut problems: Vec<Problem>) -> Vec<Problem> {
    if problems.is_empty() {
        problems.push(Problem {
            line: 1,
            key: String::new(),
            message: "it cannot be read".to_owned(),
        });
    }
    problems
}

fn whole(context: &Context<'_>, table: &DeTable<'_>, file: &Path) -> Option<Contract> {
    let table = Table::new(table, String::new(), 0, context);
    let directory = directory_of(file);
    let name = table.get("name").and_then(|entry| entry.name());
    let service = table.require("service").and_then(|it| it.table());
    let service = service.and_then(|it| service::read(&it, &directory));
    let of_service = service.as_ref().map(|it| &it.process);
    let database = table.get("database").and_then(|it| it.table());
    let database = database.map(|it| database::read(&it, &directory, of_service));
    let variables = actors::shared_variables(&table);
    let calls = calls::all(&table);
    let atomic = atomic(&table);
    let database = database.unwrap_or_default();
    let actors = actors::all(&table, &calls, &database);
    let programs = programs::all(&table, &actors, atomic);
    let invariants = invariants::all(&table);
    table.end();

    let call_names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    context.resolve(Referent::Call, &call_names);
    let actor_names: Vec<_> = actors.iter().map(|actor| actor.name.as_str()).collect();
    context.resolve(Referent::Actor, &actor_names);
    let mut contract = Contract {
        file: file.to_owned(),
        name: name.unwrap_or_else(|| name_of(&directory)),
        service: service?,
        database,
        variables,
        calls,
        actors,
        programs,
        atomic,
        invariants,
    };
    if context.is_right_so_far() {
        check::contract(context, &mut contract);
    }
    Some(contract)
}

/// What a serial order is made of, as far as a table says.
fn atomic(table: &Table<'_, '_>) -> Atomic {
    let words = [("call", Atomic::Call), ("story", Atomic::Story)];
    let atomic = table.get("atomic").and_then(|entry| entry.word(&words));
    atomic.unwrap_or_default()
}

fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A directory's own name, if it has one.
fn name_of(directory: &Path) -> String {
    let name = std::path::absolute(directory).ok();
    let name = name.and_then(|it| Some(it.file_name()?.to_str()?.to_owned()));
    name.unwrap_or_else(|| "service".to_owned())
}
