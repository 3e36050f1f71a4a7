//! `[database]`.

use std::path::Path;

use super::actors::planned_call;
use super::entry::Entry;
use super::service::process;
use super::table::Table;
use crate::database::{Background, Database, Ignored, Memory, Seed, SeedCall};
use crate::pattern::Pattern;
use crate::service::{Command, Process};

/// `around` is the service's process, whose surroundings commands have, too.
pub(super) fn read(table: &Table<'_, '_>, directory: &Path, around: Option<&Process>) -> Database {
    let nobody = Process {
        command: Command::Words(Vec::new()),
        directory: directory.to_owned(),
        env: Vec::new(),
    };
    let around = around.unwrap_or(&nobody);
    let commands = |it: &Entry<'_, '_>| it.each(|entry| process(entry, around));
    let migrate = table.get("migrate").map(|it| commands(&it));
    table.at_most_one_of(&["sql", "sql_file"]);
    let text = table.get("sql").and_then(|it| it.template());
    let file = table.get("sql_file").and_then(|it| it.path(directory));
    let calls = table.get("calls").map(|it| it.each(seed_call));
    let restore = table.get("restore").map(|it| commands(&it));
    let words = [("keep", Memory::Keep), ("restart", Memory::Restart)];
    let memory = table.get("memory").and_then(|it| it.word(&words));
    let ignore = table.get("ignore");
    let ignore = ignore.map(|it| it.each(|entry| entry.name().map(Ignored)));
    let background_of = table.get("background").map(|it| it.each(background));
    table.end();
    Database {
        migrate: migrate.unwrap_or_default(),
        sql: match (text, file) {
            (Some(text), _) => Some(Seed::Text(text)),
            (None, file) => file.map(Seed::File),
        },
        calls: calls.unwrap_or_default(),
        restore: restore.unwrap_or_default(),
        memory: memory.unwrap_or_default(),
        ignore: ignore.unwrap_or_default(),
        background: background_of.unwrap_or_default(),
    }
}

/// A call's name, or a table with it and the actor who makes it.
fn seed_call(entry: &Entry<'_, '_>) -> Option<SeedCall> {
    let (actor, planned) = planned_call(entry, true)?;
    Some(SeedCall { actor, planned })
}

fn background(entry: &Entry<'_, '_>) -> Option<Background> {
    let table = entry.table()?;
    table.one_of(&["text", "matches", "application_name"]);
    let text = table.get("text").and_then(|it| it.name());
    let matches = table.get("matches");
    let matches = matches.and_then(|it| it.noted(Pattern::new(it.text()?)));
    let name = table.get("application_name").and_then(|it| it.name());
    table.end();
    let text = text.map(Background::Text);
    let matches = matches.map(Background::Matches);
    text.or(matches)
        .or_else(|| name.map(Background::ApplicationName))
}
