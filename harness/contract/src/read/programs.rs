//! `[[programs]]`.

use super::actors::{explored, with};
use super::context::Referent;
use super::entry::Entry;
use super::table::Table;
use crate::actor::{Actor, Atomic, Participant, ProgramSpec, Story};

pub(super) fn all(table: &Table<'_, '_>, actors: &[Actor], atomic: Atomic) -> Vec<ProgramSpec> {
    let programs = table.get("programs");
    let programs = programs.map(|it| it.each(|entry| program(entry, actors, atomic)));
    programs.unwrap_or_default()
}

fn program(entry: &Entry<'_, '_>, actors: &[Actor], atomic: Atomic) -> Option<ProgramSpec> {
    let table = entry.table()?;
    let name = table.require("name").and_then(|it| it.name());
    let rows = table.get("rows").and_then(|it| it.template());
    let of_actors = table.require("actors");
    let participants = of_actors.as_ref();
    let participants = participants.map(|it| it.each(|it| participant(it, actors)));
    if let Some(it) = of_actors.filter(|it| it.value().as_array().is_some_and(|it| it.is_empty())) {
        it.wrong::<()>("at least one actor is expected");
    }
    let refused = table.get("refused");
    let refused = refused.map(|it| it.each(|it| it.reference(Referent::Actor)));
    let own = table.get("atomic").is_some();
    let own = own.then(|| super::atomic(&table));
    table.end();
    Some(ProgramSpec {
        name: name?,
        rows,
        participants: participants?,
        refused: refused.unwrap_or_default(),
        atomic: own.unwrap_or(atomic),
        line: entry.line(),
    })
}

/// An actor's name, or a table with it, a story, variables and a key.
fn participant(entry: &Entry<'_, '_>, actors: &[Actor]) -> Option<Participant> {
    if entry.value().is_str() {
        let actor = entry.reference(Referent::Actor)?;
        return Some(Participant {
            story: only_story(entry, &actor, actors),
            actor,
            with: Vec::new(),
            key: None,
        });
    }
    if !entry.value().is_table() {
        return entry.expected("an actor's name, or a table like `{ actor = \"alice\" }`");
    }
    let table = entry.table()?;
    let actor = table.require("actor");
    let actor = actor.and_then(|it| it.reference(Referent::Actor));
    let story = table.get("story").map(|it| explored(&it));
    let with = with(&table);
    let key = table.get("key").and_then(|it| it.name());
    table.end();
    let actor = actor?;
    let story = story.unwrap_or_else(|| only_story(entry, &actor, actors));
    Some(Participant {
        actor,
        story,
        with,
        key,
    })
}

/// The story of an actor who has only one. An actor that is none is noted elsewhere.
fn only_story(entry: &Entry<'_, '_>, name: &str, actors: &[Actor]) -> Story {
    let actor = actors.iter().find(|actor| actor.name == name);
    match actor.map(|actor| &actor.stories[..]) {
        Some([story]) => story.clone(),
        Some(stories) => {
            let message = format!(
                "`{name}` has {} stories: `story = [...]` must say which calls are meant",
                stories.len()
            );
            entry.wrong::<()>(message);
            Story::new()
        }
        None => Story::new(),
    }
}
