//! What can be wrong of a contract whose every entry is right: names that are there twice, variables
//! that nobody sets, keys that nobody takes.

use std::collections::BTreeSet;

use super::context::Context;
use super::walk::{Known, Walker};
use crate::actor::{Actor, Participant};
use crate::contract::Contract;
use crate::database::Seed;
use crate::invariant::Predicate;
use crate::service::{Command, Process};
use crate::template::Template;

/// Notes all that is wrong, and takes away the stories that nobody wrote and that cannot be told.
pub(super) fn contract(context: &Context<'_>, contract: &mut Contract) {
    names(context, contract);
    processes(context, contract);
    sql(context, contract);
    programs(context, contract);
    let mut untold = Vec::new();
    for actor in &contract.actors {
        untold.push(stories(context, contract, actor));
    }
    for (actor, untold) in contract.actors.iter_mut().zip(untold) {
        let mut index = 0;
        actor.stories.retain(|_| {
            index += 1;
            !untold.contains(&(index - 1))
        });
    }
}

/// Programs and invariants are asked for by name.
fn names(context: &Context<'_>, contract: &Contract) {
    let programs = contract.programs.iter().map(|it| (&it.name, it.line));
    let invariants = contract.invariants.iter().map(|it| (&it.name, it.line));
    let lists: [(&str, Vec<_>); 2] = [
        ("programs", programs.collect()),
        ("invariants", invariants.collect()),
    ];
    for (list, names) in lists {
        for (index, (name, _)) in names.iter().enumerate() {
            if let Some((_, line)) = names[..index].iter().find(|(other, _)| other == name) {
                let message = format!("`{name}` is on line {line} already");
                context.wrong_at(&format!("{list}[{index}].name"), message);
            }
        }
    }
}

/// The variables of processes, files and SQL.
fn outside_calls(contract: &Contract) -> Known {
    let mut known = Known::new(false);
    contract.variables.iter().for_each(|it| known.add(&it.name));
    known
}

/// What everybody knows of each actor once all are prepared: `alice.token`.
fn add_actors(contract: &Contract, known: &mut Known) {
    for actor in &contract.actors {
        let prepared = actor.prepare.iter();
        let prepared = prepared.filter_map(|planned| contract.call(&planned.call));
        let captured = prepared.flat_map(|call| &call.captures).map(|it| &it.name);
        for name in actor.variables.iter().map(|(name, _)| name).chain(captured) {
            known.add(&format!("{}.{name}", actor.name));
        }
    }
}

fn walker<'a>(context: &'a Context<'a>, contract: &'a Contract, who: &'a str) -> Walker<'a> {
    Walker {
        context,
        contract,
        who,
        notes: true,
    }
}

fn processes(context: &Context<'_>, contract: &Contract) {
    let known = outside_calls(contract);
    let walker = walker(context, contract, "the service");
    let check = |template: &Template, key: &str| {
        walker.needs(template.needs(), &known, key);
    };
    let check_process = |process: &Process, key: &str| {
        let command = match context.has(&format!("{key}.command")) {
            true => format!("{key}.command"),
            false => key.to_owned(),
        };
        match &process.command {
            Command::Shell(text) => check(text, &command),
            Command::Words(words) => words.iter().for_each(|word| check(word, &command)),
        }
        for (name, value) in &process.env {
            // What is the service's is looked at there.
            let key = format!("{key}.env.{name}");
            if context.has(&key) {
                check(value, &key);
            }
        }
    };
    let service = &contract.service;
    check_process(&service.process, "service");
    let database = &contract.database;
    let lists = [
        ("service.auxiliary", &service.auxiliary),
        ("database.migrate", &database.migrate),
        ("database.restore", &database.restore),
    ];
    for (list, processes) in lists {
        for (index, process) in processes.iter().enumerate() {
            check_process(process, &format!("{list}[{index}]"));
        }
    }
    for (index, file) in service.files.iter().enumerate() {
        check(&file.text, &format!("service.files[{index}].text"));
    }
    check(&service.ready.path, "service.ready.path");
}

fn sql(context: &Context<'_>, contract: &Contract) {
    let mut known = outside_calls(contract);
    let walker = walker(context, contract, "the contract");
    if let Some(Seed::Text(text)) = &contract.database.sql {
        walker.needs(text.needs(), &known, "database.sql");
    }
    add_actors(contract, &mut known);
    for (index, program) in contract.programs.iter().enumerate() {
        let rows = program.rows.iter().flat_map(Template::needs);
        walker.needs(rows, &known, &format!("programs[{index}].rows"));
    }
    for (index, invariant) in contract.invariants.iter().enumerate() {
        let (query, part) = match &invariant.predicate {
            Predicate::NoRows(query) => (query, "violations"),
            Predicate::Number { query, .. } => (query, "number"),
        };
        walker.needs(
            query.needs(),
            &known,
            &format!("invariants[{index}].{part}"),
        );
    }
}

/// What all calls have: what all actors share, and what the calls that fill the database capture.
fn shared(context: &Context<'_>, contract: &Contract, notes: bool) -> Known {
    let mut known = Known::new(true);
    let in_variables = Walker {
        notes,
        ..walker(context, contract, "the contract")
    };
    for variable in &contract.variables {
        for value in &variable.values {
            in_variables.needs(
                value.needs(),
                &known,
                &format!("variables.{}", variable.name),
            );
        }
        known.add(&variable.name);
    }
    let mut seeded = known.clone();
    for seed in &contract.database.calls {
        let actor = seed.actor.as_deref().and_then(|name| contract.actor(name));
        let mut here = actor.map_or(seeded.clone(), |actor| {
            prepared(context, contract, actor, seeded.clone(), false)
        });
        let walker = Walker {
            notes,
            ..walker(
                context,
                contract,
                seed.actor
                    .as_deref()
                    .unwrap_or("a call of `database.calls`"),
            )
        };
        walker.makes(std::slice::from_ref(&seed.planned), &mut here);
        let call = contract.call(&seed.planned.call);
        let captures = call.into_iter().flat_map(|call| &call.captures);
        captures.for_each(|it| seeded.add(&it.name));
    }
    seeded
}

/// What an actor has before the story begins.
fn prepared(
    context: &Context<'_>,
    contract: &Contract,
    actor: &Actor,
    mut known: Known,
    notes: bool,
) -> Known {
    let walker = Walker {
        notes,
        ..walker(context, contract, &actor.name)
    };
    for (name, value) in &actor.variables {
        let key = format!("actors.{}.{name}", actor.name);
        walker.needs(value.needs(), &known, &key);
        known.add(name);
    }
    walker.makes(&actor.prepare, &mut known);
    known
}

/// Notes what an actor's stories lack. Those that nobody wrote are only noted where no program says
/// what is called; the indices of those that cannot be told are returned.
fn stories(context: &Context<'_>, contract: &Contract, actor: &Actor) -> BTreeSet<usize> {
    let known = shared(context, contract, true);
    let mut known = prepared(context, contract, actor, known, true);
    add_actors(contract, &mut known);
    let own = contract
        .programs
        .iter()
        .flat_map(|program| &program.participants);
    // A program may give what its stories need.
    for participant in own.filter(|it| it.actor == actor.name && actor.has_own_stories) {
        known = known.with(&participant.with);
    }
    let walker = Walker {
        notes: actor.has_own_stories || contract.programs.is_empty(),
        ..walker(context, contract, &actor.name)
    };
    let stories = actor.stories.iter().enumerate();
    stories
        .filter(|(_, story)| !walker.makes(story, &mut known.clone()))
        .map(|(index, _)| index)
        .collect()
}

fn programs(context: &Context<'_>, contract: &Contract) {
    for (index, program) in contract.programs.iter().enumerate() {
        let key = format!("programs[{index}]");
        for (index, name) in program.refused.iter().enumerate() {
            if !program.participants.iter().any(|it| it.actor == *name) {
                let message = format!("`{name}` does not call anything in this program");
                context.wrong_at(&format!("{key}.refused[{index}]"), message);
            }
        }
        for (index, it) in program.participants.iter().enumerate() {
            participant(context, contract, it, &format!("{key}.actors[{index}]"));
        }
    }
}

fn participant(context: &Context<'_>, contract: &Contract, it: &Participant, key: &str) {
    let Some(actor) = contract.actor(&it.actor) else {
        return;
    };
    let known = shared(context, contract, false);
    let mut known = prepared(context, contract, actor, known, false);
    add_actors(contract, &mut known);
    let walker = walker(context, contract, &it.actor);
    for (name, value) in &it.with {
        walker.needs(value.needs(), &known, &format!("{key}.with.{name}"));
    }
    walker.makes(&it.story, &mut known.with(&it.with));
    let calls = it
        .story
        .iter()
        .filter_map(|planned| contract.call(&planned.call));
    if it.key.is_some() && !calls.into_iter().any(|call| call.takes_key()) {
        let message =
            "no call of the story takes a key: `idempotency_key` of a call names its header";
        context.wrong_at(&format!("{key}.key"), message);
    }
}
