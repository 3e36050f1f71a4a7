//! `answers`: what replies mean.

use super::entry::Entry;
use super::source::{header_name, json_path, pattern, source};
use super::table::Table;
use super::values::plain_json;
use crate::answer::{Condition, JsonType, Meaning, Operator, Reason, Rule, StatusSet, Subject};

/// All rules of an array.
pub(super) fn rules(entry: &Entry<'_, '_>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for entry in entry.items().unwrap_or_default() {
        let Some(rule) = rule(&entry) else {
            continue;
        };
        let is_same =
            |other: &&Rule| (&other.status, &other.conditions) == (&rule.status, &rule.conditions);
        let fits_all = |other: &Rule| other.status.is_none() && other.conditions.is_empty();
        if rules.iter().any(fits_all) {
            entry.wrong::<()>("an earlier rule fits every answer: this one is never reached");
        } else if let Some(same) = rules.iter().find(is_same) {
            let message = format!("the rule on line {} is for the same answers", same.line);
            entry.wrong::<()>(message);
        }
        rules.push(rule);
    }
    rules
}

/// One rule, if all of it is right: half of one would fit what it is not for.
fn rule(entry: &Entry<'_, '_>) -> Option<Rule> {
    let table = entry.table()?;
    let mistakes = entry.context.count();
    let status = table.get("status").and_then(|it| statuses(&it));
    let own = condition(&table, false);
    let all = table.get("all").map(|it| it.each(one_of_all));
    let conditions: Vec<_> = own.into_iter().chain(all.into_iter().flatten()).collect();
    let words = Meaning::ALL.map(|meaning| (meaning.word(), meaning));
    let means = table.require("means").and_then(|it| it.word(&words));
    let reason_entry = table.get("reason");
    if let (Some(it), Some(Meaning::Ok)) = (&reason_entry, means) {
        it.wrong::<()>("what is ok has no reason");
    }
    let reason = reason_entry.and_then(|it| reason(&it));
    table.end();
    if entry.context.count() > mistakes {
        return None;
    }
    Some(Rule {
        status,
        conditions,
        means: means?,
        reason,
        line: entry.line(),
    })
}

fn one_of_all(entry: &Entry<'_, '_>) -> Option<Condition> {
    let table = entry.table()?;
    let condition = condition(&table, true);
    table.end();
    condition
}

/// The condition that a table says; one on the body where it names neither header nor JSON.
fn condition(table: &Table<'_, '_>, must_be: bool) -> Option<Condition> {
    table.at_most_one_of(&["json", "header"]);
    table.at_most_one_of(&["equals", "contains", "matches", "exists", "type"]);
    let json = table.get("json");
    let header = table.get("header");
    let is_named = json.is_some() || header.is_some();
    let is_text = json.is_none();
    let json = json.and_then(|it| json_path(&it)).map(Subject::Json);
    let header = header.and_then(|it| header_name(&it)).map(Subject::Header);
    let operator = operator(table, is_text);
    match (operator, is_named) {
        (None, false) if must_be => {
            table.wrong("no condition: `json`, `header` or an operator on the body is expected");
            None
        }
        (None, false) => None,
        (operator, _) => Some(Condition {
            subject: json.or(header).unwrap_or(Subject::Body),
            operator: operator.unwrap_or(Operator::Exists(true)),
        }),
    }
}

/// The operator that a table says. On a text, a number is compared as it is written.
fn operator(table: &Table<'_, '_>, is_text: bool) -> Option<Operator> {
    let value = |it: Entry<'_, '_>| {
        let value = plain_json(&it)?;
        match &value {
            serde_json::Value::Array(_) | serde_json::Value::Object(_) if is_text => {
                it.expected("a string, a number or a boolean")
            }
            serde_json::Value::String(_) => Some(value),
            other if is_text => Some(other.to_string().into()),
            _ => Some(value),
        }
    };
    let equals = table.get("equals").and_then(value).map(Operator::Equals);
    let contains = table
        .get("contains")
        .and_then(value)
        .map(Operator::Contains);
    let matches = table.get("matches").and_then(|it| pattern(&it));
    let exists = table.get("exists").and_then(|it| it.boolean());
    let kind = table.get("type").and_then(|it| match is_text {
        true => it.wrong("only what `json` leads to has a type"),
        false => it.word(&JsonType::WORDS),
    });
    equals
        .or(contains)
        .or_else(|| matches.map(Operator::Matches))
        .or_else(|| exists.map(Operator::Exists))
        .or_else(|| kind.map(Operator::Type))
}

fn reason(entry: &Entry<'_, '_>) -> Option<Reason> {
    if entry.value().is_table() {
        let table = entry.table()?;
        let found = source(&table);
        table.end();
        return found.map(Reason::Found);
    }
    match entry.value().is_str() {
        true => entry.name().map(Reason::Named),
        false => entry.expected("a name, or a table like `{ json = \"$.code\" }`"),
    }
}

/// A status, a class like `"4xx"`, or an array of them.
pub(super) fn statuses(entry: &Entry<'_, '_>) -> Option<StatusSet> {
    let ranges = match entry.value().is_array() {
        true => entry.each(range),
        false => vec![range(entry)?],
    };
    match ranges.is_empty() {
        true => entry.wrong("no status is left that it could be"),
        false => Some(StatusSet { ranges }),
    }
}

fn range(entry: &Entry<'_, '_>) -> Option<(u16, u16)> {
    if !entry.value().is_str() {
        let status = entry.whole(100, 599)?;
        return Some((status, status));
    }
    let text = entry.text()?;
    match text.as_bytes() {
        [digit @ b'1'..=b'5', b'x', b'x'] => {
            let first = u16::from(digit - b'0') * 100;
            Some((first, first + 99))
        }
        _ => entry.wrong(format!(
            "`{text}` is no status; a number like 404 or a class like \"4xx\" is"
        )),
    }
}
