//! Numbers, variables and JSON as a file writes them.

use serde_json::Number;
use toml::de::DeValue;

use super::entry::Entry;
use super::table::Table;
use crate::template::{JsonTemplate, ValueTemplate, is_name};
use crate::variables::Value;

/// A number of JSON; infinities and not-a-numbers are none.
fn number(entry: &Entry<'_, '_>) -> Option<Number> {
    match entry.value() {
        DeValue::Integer(it) => match i64::from_str_radix(it.as_str(), it.radix()) {
            Ok(number) => Some(number.into()),
            Err(_) => entry.wrong("the number is too large"),
        },
        DeValue::Float(it) => {
            let number = it.as_str().parse().ok().and_then(Number::from_f64);
            number.or_else(|| entry.wrong("JSON has no such number"))
        }
        _ => entry.expected("a number"),
    }
}

/// What a variable is set to.
pub(super) fn value(entry: &Entry<'_, '_>) -> Option<ValueTemplate> {
    match entry.value() {
        DeValue::String(_) => entry.template().map(ValueTemplate::Text),
        DeValue::Integer(_) | DeValue::Float(_) => {
            number(entry).map(|number| ValueTemplate::Fixed(Value::Number(number)))
        }
        DeValue::Boolean(boolean) => Some(ValueTemplate::Fixed(Value::Boolean(*boolean))),
        _ => entry.expected("a variable's value (a string, a number or a boolean)"),
    }
}

/// Variables: all keys of a table that have not been asked for by name.
pub(super) fn variables(table: &Table<'_, '_>) -> Vec<(String, ValueTemplate)> {
    let others = table.others().into_iter();
    others
        .filter_map(|(name, entry)| {
            let name = variable_name(name, &entry)?;
            Some((name, value(&entry)?))
        })
        .collect()
}

/// A name that a variable can have.
pub(super) fn variable_name(name: &str, entry: &Entry<'_, '_>) -> Option<String> {
    match is_name(name) {
        true => Some(name.to_owned()),
        false => entry.wrong("a variable's name is made of letters, digits, `_`, `-` and `.`"),
    }
}

/// JSON whose texts are templates.
pub(super) fn json(entry: &Entry<'_, '_>) -> Option<JsonTemplate> {
    Some(match entry.value() {
        DeValue::String(_) => JsonTemplate::Text(entry.template()?),
        DeValue::Integer(_) | DeValue::Float(_) => JsonTemplate::Number(number(entry)?),
        DeValue::Boolean(boolean) => JsonTemplate::Boolean(*boolean),
        DeValue::Datetime(time) => {
            JsonTemplate::Text(crate::template::Template::literal(time.to_string()))
        }
        DeValue::Array(_) => JsonTemplate::Array(entry.each(json)),
        DeValue::Table(_) => JsonTemplate::Object(json_fields(&entry.table()?)),
    })
}

/// All fields of a table as JSON.
pub(super) fn json_fields(table: &Table<'_, '_>) -> Vec<(String, JsonTemplate)> {
    let fields = table.others().into_iter();
    fields
        .filter_map(|(name, entry)| Some((name.to_owned(), json(&entry)?)))
        .collect()
}

/// JSON without variables.
pub(super) fn plain_json(entry: &Entry<'_, '_>) -> Option<serde_json::Value> {
    Some(match entry.value() {
        DeValue::String(text) => text.to_string().into(),
        DeValue::Integer(_) | DeValue::Float(_) => serde_json::Value::Number(number(entry)?),
        DeValue::Boolean(boolean) => (*boolean).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(_) => entry.each(plain_json).into(),
        DeValue::Table(_) => {
            let fields = entry.table()?.others().into_iter();
            let fields = fields.filter_map(|(name, it)| Some((name.to_owned(), plain_json(&it)?)));
            serde_json::Value::Object(fields.collect())
        }
    })
}
