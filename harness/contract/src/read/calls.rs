//! `[calls.NAME]`.

use std::collections::BTreeSet;

use super::entry::Entry;
use super::source::{captures, header_name, is_token, json_path};
use super::table::Table;
use super::{answers, body};
use crate::answer::Rule;
use crate::call::{Body, CallSpec};
use crate::template::Template;

/// All calls; rules for all of them come after each one's own.
pub(super) fn all(table: &Table<'_, '_>) -> Vec<CallSpec> {
    let shared = table.get("answers");
    let shared = shared.map(|it| answers::rules(&it)).unwrap_or_default();
    let calls = table.require("calls").and_then(|it| it.table());
    let Some(calls) = calls else {
        return Vec::new();
    };
    let others = calls.others();
    if others.is_empty() {
        calls.wrong("there is no call");
    }
    others
        .iter()
        .filter_map(|(name, entry)| call(name, entry, &shared))
        .collect()
}

fn call(name: &str, entry: &Entry<'_, '_>, shared: &[Rule]) -> Option<CallSpec> {
    if !is_plain(name) {
        return entry.wrong("a call's name is made of letters, digits, `_` and `-`");
    }
    let table = entry.table()?;
    let method = table.get("method").and_then(|it| method(&it));
    let path = table.require("path").and_then(|it| path(&it));
    let query = table.get("query").and_then(|it| it.table());
    let query = query.map(|it| body::fields(&it)).unwrap_or_default();
    let headers = table.get("headers").and_then(|it| it.table());
    let headers = headers.map(|it| self::headers(&it)).unwrap_or_default();
    let body = body::read(&table);
    let capture = table.get("capture").and_then(|it| it.table());
    let captures = capture.map(|it| captures(&it)).unwrap_or_default();
    let compare = table.get("compare").map(|it| it.each(json_path));
    let idempotency_key = table.get("idempotency_key");
    let idempotency_key = idempotency_key.and_then(|it| header_name(&it));
    let own = table.get("answers").map(|it| answers::rules(&it));
    table.end();
    let rules = own.unwrap_or_default().into_iter();
    let default = match body {
        Body::None => "GET",
        _ => "POST",
    };
    Some(CallSpec {
        name: name.to_owned(),
        method: method.unwrap_or_else(|| default.to_owned()),
        path: path.unwrap_or_default(),
        query,
        headers,
        body,
        captures,
        compare: compare.unwrap_or_default(),
        idempotency_key,
        rules: rules.chain(shared.iter().cloned()).collect(),
        line: entry.line(),
    })
}

/// Whether a call or an actor can be called so.
pub(super) fn is_plain(name: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.chars().all(is_letter)
}

fn method(entry: &Entry<'_, '_>) -> Option<String> {
    let text = entry.text()?;
    match is_token(text) {
        true => Some(text.to_ascii_uppercase()),
        false => entry.wrong(format!("{text:?} is no HTTP method")),
    }
}

fn path(entry: &Entry<'_, '_>) -> Option<Template> {
    let path = entry.template()?;
    match path.to_string().starts_with(['/', '$']) {
        true => Some(path),
        false => entry.wrong("a path begins with `/`, or with a variable that does"),
    }
}

fn headers(table: &Table<'_, '_>) -> Vec<(String, Template)> {
    let mut seen = BTreeSet::new();
    let others = table.others().into_iter();
    let headers = others.filter_map(|(name, entry)| {
        let name = name.to_ascii_lowercase();
        if !seen.insert(name.clone()) {
            return entry.wrong("the header is there twice: upper and lower case are one name");
        }
        if !is_token(&name) {
            return entry.wrong("no header can be called so");
        }
        if name == "host" || name == "content-length" {
            return entry.wrong("this header is always sent, and is not for a contract to say");
        }
        Some((name, entry.template()?))
    });
    headers.collect()
}
