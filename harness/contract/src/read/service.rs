//! `[service]`.

use std::path::Path;

use super::answers::statuses;
use super::entry::Entry;
use super::table::Table;
use crate::service::{Command, FileTemplate, Process, Ready, Service, Signal, Stop};
use crate::template::Template;

pub(super) fn read(table: &Table<'_, '_>, directory: &Path) -> Option<Service> {
    let surroundings = Process {
        command: Command::Words(Vec::new()),
        directory: directory.to_owned(),
        env: Vec::new(),
    };
    let process = process_of(table, &surroundings);
    let port = table.get("port").and_then(|it| it.whole(1, u16::MAX));
    let replicas = table.get("replicas").and_then(|it| it.whole(1, 100));
    if let (Some(_), Some(2..)) = (port, replicas) {
        table.wrong("`port` and `replicas` contradict each other: replicas cannot share one port");
    }
    let around = process.as_ref().unwrap_or(&surroundings);
    let auxiliary = table.get("auxiliary").map(|it| {
        it.each(|entry| {
            let table = entry.table()?;
            let process = process_of(&table, around);
            table.end();
            process
        })
    });
    let files = table
        .get("files")
        .map(|it| it.each(|entry| file(entry, around)));
    let ready = table
        .get("ready")
        .and_then(|it| it.table())
        .map(|it| ready(&it));
    let stop = table
        .get("stop")
        .and_then(|it| it.table())
        .map(|it| stop(&it));
    table.end();
    Some(Service {
        process: process?,
        replicas: replicas.unwrap_or(1),
        port,
        auxiliary: auxiliary.unwrap_or_default(),
        files: files.unwrap_or_default(),
        ready: ready.unwrap_or_default(),
        stop: stop.unwrap_or_default(),
    })
}

/// A process: a command line, or a table with one.
pub(super) fn process(entry: &Entry<'_, '_>, around: &Process) -> Option<Process> {
    if entry.value().is_table() {
        let table = entry.table()?;
        let process = process_of(&table, around);
        table.end();
        return process;
    }
    Some(Process {
        command: command(entry, false)?,
        ..around.clone()
    })
}

/// The process that a table describes, with what it does not say from `around`.
fn process_of(table: &Table<'_, '_>, around: &Process) -> Option<Process> {
    let is_shell = table.get("shell").and_then(|it| it.boolean());
    let command = table.require("command");
    let command = command.and_then(|it| self::command(&it, is_shell.unwrap_or(false)));
    let directory = table.get("directory");
    let directory = directory.and_then(|it| it.path(&around.directory));
    let own = table.get("env").and_then(|it| it.table());
    let mut env = around.env.clone();
    for (name, value) in own.map(|it| env_of(&it)).unwrap_or_default() {
        env.retain(|(other, _)| *other != name);
        env.push((name, value));
    }
    Some(Process {
        command: command?,
        directory: directory.unwrap_or_else(|| around.directory.clone()),
        env,
    })
}

fn command(entry: &Entry<'_, '_>, is_shell: bool) -> Option<Command> {
    if is_shell {
        return entry.template().map(Command::Shell);
    }
    let words: Vec<Template> = if entry.value().is_array() {
        entry.each(Entry::template)
    } else if entry.value().is_str() {
        let words = shlex::split(entry.text()?);
        let words = words.or_else(|| entry.wrong("a quote is not closed"))?;
        let words = words.iter().map(|word| Template::parse(word)).collect();
        entry.noted(words)?
    } else {
        return entry.expected("a command: a string, or an array of words");
    };
    match words.is_empty() {
        true => entry.wrong("the command is empty"),
        false => Some(Command::Words(words)),
    }
}

/// Numbers and booleans are as good as texts in an environment.
fn env_of(table: &Table<'_, '_>) -> Vec<(String, Template)> {
    let others = table.others().into_iter();
    let env = others.filter_map(|(name, entry)| {
        if name.is_empty() || name.contains(['=', '\0']) {
            return entry.wrong("no variable of an environment is called so");
        }
        let value = match super::values::value(&entry)? {
            crate::template::ValueTemplate::Text(template) => template,
            crate::template::ValueTemplate::Fixed(value) => Template::literal(value.to_string()),
        };
        Some((name.to_owned(), value))
    });
    env.collect()
}

fn file(entry: &Entry<'_, '_>, around: &Process) -> Option<FileTemplate> {
    let table = entry.table()?;
    let path = table.require("path").and_then(|it| it.name());
    let text = table.require("text").and_then(|it| it.template());
    table.end();
    Some(FileTemplate {
        path: around.directory.join(path?),
        text: text?,
    })
}

fn ready(table: &Table<'_, '_>) -> Ready {
    let default = Ready::default();
    let path = table.get("path").and_then(|it| {
        let path = it.template()?;
        match path.to_string().starts_with(['/', '$']) {
            true => Some(path),
            false => it.wrong("a path begins with `/`"),
        }
    });
    let status = table.get("status").and_then(|it| statuses(&it));
    let within = table.get("within_s").and_then(|it| it.seconds());
    table.end();
    Ready {
        path: path.unwrap_or(default.path),
        status: status.unwrap_or(default.status),
        within: within.unwrap_or(default.within),
    }
}

fn stop(table: &Table<'_, '_>) -> Stop {
    let default = Stop::default();
    let signal = table.get("signal").and_then(|it| {
        it.word(&[
            ("TERM", Signal::Term),
            ("INT", Signal::Int),
            ("QUIT", Signal::Quit),
            ("HUP", Signal::Hup),
            ("KILL", Signal::Kill),
        ])
    });
    let within = table.get("within_s").and_then(|it| it.seconds());
    table.end();
    Stop {
        signal: signal.unwrap_or(default.signal),
        within: within.unwrap_or(default.within),
    }
}
