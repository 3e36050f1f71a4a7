//! The body of a call: `json`, `form`, `text` or `graphql`.

use super::entry::Entry;
use super::table::Table;
use super::values::{json, json_fields};
use crate::call::Body;
use crate::template::Template;

pub(super) fn read(table: &Table<'_, '_>) -> Body {
    table.at_most_one_of(&["json", "form", "text", "graphql"]);
    let of_json = table.get("json").and_then(|it| json(&it));
    let form = table.get("form").and_then(|it| it.table());
    let form = form.map(|it| fields(&it));
    let text = table.get("text").and_then(|it| it.template());
    let graphql = table.get("graphql").and_then(|it| graphql(&it));
    let body = of_json.map(Body::Json).or(form.map(Body::Form));
    let body = body.or(text.map(Body::Text)).or(graphql);
    body.unwrap_or_default()
}

/// The fields of a form or query; one that is an array is there several times.
pub(super) fn fields(table: &Table<'_, '_>) -> Vec<(String, Template)> {
    let mut fields = Vec::new();
    for (name, entry) in table.others() {
        let values = match entry.value().is_array() {
            true => entry.each(field),
            false => field(&entry).into_iter().collect(),
        };
        fields.extend(values.into_iter().map(|value| (name.to_owned(), value)));
    }
    fields
}

fn field(entry: &Entry<'_, '_>) -> Option<Template> {
    use crate::template::ValueTemplate;
    Some(match super::values::value(entry)? {
        ValueTemplate::Text(template) => template,
        ValueTemplate::Fixed(value) => Template::literal(value.to_string()),
    })
}

fn graphql(entry: &Entry<'_, '_>) -> Option<Body> {
    let table = entry.table()?;
    let query = table.require("query").and_then(|it| it.template());
    let operation = table.get("operation").and_then(|it| it.name());
    let variables = table.get("variables").and_then(|it| it.table());
    let variables = variables.map(|it| json_fields(&it));
    table.end();
    Some(Body::GraphQl {
        query: query?,
        operation,
        variables: variables.unwrap_or_default(),
    })
}
