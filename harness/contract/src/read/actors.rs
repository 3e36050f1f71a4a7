//! `[variables]`, `[actors.NAME]`, and who there is where nobody is named.

use std::collections::BTreeSet;

use super::calls::is_plain;
use super::context::Referent;
use super::entry::Entry;
use super::nearest::nearest;
use super::table::Table;
use super::values::{value, variable_name, variables};
use crate::actor::{Actor, PlannedCall, SharedVariable, Story};
use crate::call::CallSpec;
use crate::database::Database;

/// What others' variables begin with, so that no actor can be called so.
const TAKEN: [&str; 3] = ["env", "cookie", "database"];

/// The actor of a contract that names none.
const ANYBODY: &str = "anybody";

pub(super) fn shared_variables(table: &Table<'_, '_>) -> Vec<SharedVariable> {
    let table = table.get("variables").and_then(|it| it.table());
    let others = table.map(|it| it.others()).unwrap_or_default();
    others
        .iter()
        .filter_map(|(name, entry)| {
            let name = variable_name(name, entry)?;
            let values = match entry.value().is_array() {
                true => entry.each(value),
                false => vec![value(entry)?],
            };
            match values.is_empty() {
                true => entry.wrong("at least one value is expected"),
                false => Some(SharedVariable { name, values }),
            }
        })
        .collect()
}

/// All actors with their stories: their own, or else those for all, or else each call alone that
/// prepares nothing.
pub(super) fn all(table: &Table<'_, '_>, calls: &[CallSpec], database: &Database) -> Vec<Actor> {
    let shared = stories(table);
    let named = table.get("actors").and_then(|it| it.table());
    let named = named.map(|it| it.others()).unwrap_or_default();
    let mut actors: Vec<_> = named
        .iter()
        .filter_map(|(name, it)| actor(name, it))
        .collect();
    if named.is_empty() {
        actors.push(Actor {
            name: ANYBODY.to_owned(),
            variables: Vec::new(),
            prepare: Vec::new(),
            stories: Vec::new(),
            has_own_stories: false,
            line: 0,
        });
    }
    let prepared = actors.iter().flat_map(|actor| &actor.prepare);
    let seeded = database.calls.iter().map(|call| &call.planned);
    let not_explored: BTreeSet<_> = prepared.chain(seeded).map(|it| it.call.clone()).collect();
    let alone = calls
        .iter()
        .filter(|call| !not_explored.contains(&call.name));
    let alone: Vec<Story> = alone
        .map(|call| vec![PlannedCall::of(&call.name)])
        .collect();
    for actor in actors.iter_mut().filter(|actor| actor.stories.is_empty()) {
        actor.has_own_stories = !shared.is_empty();
        actor.stories = match actor.has_own_stories {
            true => shared.clone(),
            false => alone.clone(),
        };
    }
    actors
}

fn actor(name: &str, entry: &Entry<'_, '_>) -> Option<Actor> {
    if !is_plain(name) {
        return entry.wrong("an actor's name is made of letters, digits, `_` and `-`");
    }
    if TAKEN.contains(&name) {
        let message = format!("no actor can be called `{name}`: `${{{name}.NAME}}` is not theirs");
        return entry.wrong(message);
    }
    let table = entry.table()?;
    let prepare = table
        .get("prepare")
        .map(|it| story(&it))
        .unwrap_or_default();
    let stories = stories(&table);
    for (name, entry) in table.others() {
        let own = nearest(name, &["prepare", "story", "stories"]);
        if let (true, Some(own)) = (entry.value().is_array(), own) {
            entry.wrong::<()>(format!("a variable is no array; did you mean `{own}`?"));
        }
    }
    Some(Actor {
        name: name.to_owned(),
        variables: variables(&table),
        prepare,
        has_own_stories: !stories.is_empty(),
        stories,
        line: entry.line(),
    })
}

/// `story`, or each of `stories`.
fn stories(table: &Table<'_, '_>) -> Vec<Story> {
    table.at_most_one_of(&["story", "stories"]);
    let one = table.get("story").map(|it| explored(&it));
    let several = table
        .get("stories")
        .map(|it| it.each(|it| Some(explored(it))));
    one.into_iter()
        .chain(several.into_iter().flatten())
        .collect()
}

/// A story that is explored, and so has a call.
pub(super) fn explored(entry: &Entry<'_, '_>) -> Story {
    let story = story(entry);
    if entry
        .value()
        .as_array()
        .is_some_and(|calls| calls.is_empty())
    {
        entry.wrong::<()>("at least one call is expected");
    }
    story
}

/// Calls, one after another.
fn story(entry: &Entry<'_, '_>) -> Story {
    entry.each(|it| planned_call(it, false).map(|(_, planned)| planned))
}

/// A call's name, or a table with it, variables for it alone and, where there may be one, an actor.
pub(super) fn planned_call(
    entry: &Entry<'_, '_>,
    may_have_actor: bool,
) -> Option<(Option<String>, PlannedCall)> {
    if entry.value().is_str() {
        let call = entry.reference(Referent::Call)?;
        return Some((None, PlannedCall::of(&call)));
    }
    if !entry.value().is_table() {
        return entry.expected("a call's name, or a table like `{ call = \"buy\", with = {} }`");
    }
    let table = entry.table()?;
    let actor = may_have_actor.then(|| table.get("actor")).flatten();
    let actor = actor.and_then(|it| it.reference(Referent::Actor));
    let call = table.require("call");
    let call = call.and_then(|it| it.reference(Referent::Call));
    let with = with(&table);
    table.end();
    Some((actor, PlannedCall { call: call?, with }))
}

/// Variables for one place alone.
pub(super) fn with(table: &Table<'_, '_>) -> Vec<(String, crate::template::ValueTemplate)> {
    let with = table.get("with").and_then(|it| it.table());
    with.map(|it| variables(&it)).unwrap_or_default()
}
