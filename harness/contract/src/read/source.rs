//! Places in answers: `{ json = "$.id" }`, `{ header = "location" }`, `{ cookie = "sid" }`,
//! `{ regex = '...' }`.

use super::entry::Entry;
use super::table::Table;
use super::values::variable_name;
use crate::json_path::JsonPath;
use crate::pattern::Pattern;
use crate::source::{Capture, CaptureType, Source};

/// The place that a table says.
pub(super) fn source(table: &Table<'_, '_>) -> Option<Source> {
    table.one_of(&["json", "header", "cookie", "regex"]);
    let json = table.get("json").and_then(|it| json_path(&it));
    let header = table.get("header").and_then(|it| header_name(&it));
    let cookie = table.get("cookie").and_then(|it| it.name());
    let regex = table.get("regex").and_then(|it| pattern(&it));
    json.map(Source::Json)
        .or_else(|| header.map(Source::Header))
        .or_else(|| cookie.map(Source::Cookie))
        .or_else(|| regex.map(Source::Regex))
}

pub(super) fn json_path(entry: &Entry<'_, '_>) -> Option<JsonPath> {
    entry.noted(JsonPath::new(entry.text()?))
}

pub(super) fn pattern(entry: &Entry<'_, '_>) -> Option<Pattern> {
    entry.noted(Pattern::new(entry.text()?))
}

/// A header's name in lower case.
pub(super) fn header_name(entry: &Entry<'_, '_>) -> Option<String> {
    let name = entry.name()?;
    match is_token(&name) {
        true => Some(name.to_ascii_lowercase()),
        false => entry.wrong(format!("no header can be called {name:?}")),
    }
}

/// RFC 9110, 5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    let is_in_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(is_in_token)
}

/// All entries of `capture`.
pub(super) fn captures(table: &Table<'_, '_>) -> Vec<Capture> {
    let others = table.others().into_iter();
    others
        .filter_map(|(name, entry)| {
            let name = variable_name(name, &entry)?;
            let table = entry.table()?;
            let source = source(&table);
            let words = [("text", CaptureType::Text), ("number", CaptureType::Number)];
            let kind = table.get("type").and_then(|it| it.word(&words));
            table.end();
            Some(Capture {
                name,
                source: source?,
                kind: kind.unwrap_or_default(),
            })
        })
        .collect()
}
