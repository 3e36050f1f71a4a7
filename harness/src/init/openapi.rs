//! The calls of a running service, from its OpenAPI document (version 3; OpenAPI Specification 3.1).

use serde_json::{Map, Value, json};

/// Where services show such a document, the most usual first.
pub const PATHS: [&str; 5] = [
    "/openapi.json",
    "/api/openapi.json",
    "/swagger.json",
    "/api-docs",
    "/v3/api-docs",
];

/// How deep schemas are followed.
const DEPTH: usize = 6;

/// One operation that changes something.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// A name for it, as a contract has it.
    pub name: String,
    /// The method, in capitals.
    pub method: String,
    /// The path, its parameters as variables.
    pub path: String,
    /// A body as its schema has it, if it takes one of JSON.
    pub body: Option<Value>,
    /// Whether it takes an idempotency key, and in which header.
    pub idempotency_key: Option<String>,
}

/// The operations of `document` that change something, in its order.
pub fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object();
    let mut found: Vec<Operation> = Vec::new();
    for (path, item) in paths.into_iter().flatten() {
        for method in ["post", "put", "patch", "delete"] {
            let operation = &item[method];
            if operation.is_object() {
                let mut one = operation_of(document, path, method, operation);
                while found.iter().any(|other| other.name == one.name) {
                    one.name.push_str("_2");
                }
                found.push(one);
            }
        }
    }
    found
}

fn operation_of(document: &Value, path: &str, method: &str, operation: &Value) -> Operation {
    let given = operation["operationId"].as_str();
    let name = given.map_or_else(|| format!("{method} {path}"), str::to_owned);
    let content = &resolved(document, &operation["requestBody"])["content"];
    let media = content.as_object().and_then(|content| {
        let mut json = content.iter().filter(|(kind, _)| kind.contains("json"));
        json.next().map(|(_, media)| media)
    });
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let mut headers = parameters.filter_map(|parameter| {
        let parameter = resolved(document, parameter);
        let name = parameter["name"].as_str()?;
        (parameter["in"] == "header").then(|| name.to_owned())
    });
    Operation {
        name: word(&name),
        method: method.to_uppercase(),
        path: path.replace('{', "${"),
        body: media.map(|media| match media.get("example") {
            Some(example) => example.clone(),
            None => example_of(document, &media["schema"], DEPTH),
        }),
        idempotency_key: headers.find(|name| name.to_lowercase().contains("idempotency")),
    }
}

/// A name without anything that a bare key of TOML may not have.
fn word(text: &str) -> String {
    let letters = text.chars();
    let letters = letters.map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    let word: String = letters.collect();
    let parts: Vec<_> = word.split('_').filter(|part| !part.is_empty()).collect();
    parts.join("_")
}

/// What a local reference refers to; anything else is itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value["$ref"].as_str().and_then(|it| it.strip_prefix('#'));
    reference
        .and_then(|it| document.pointer(it))
        .unwrap_or(value)
}

/// A value that fits `schema`, as far as its type and examples say.
fn example_of(document: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolved(document, schema);
    let said = ["example", "default", "const"].into_iter();
    let said = said.filter_map(|key| schema.get(key)).next();
    let listed = schema["examples"].get(0).or_else(|| schema["enum"].get(0));
    if let Some(value) = said.or(listed) {
        return value.clone();
    }
    if depth == 0 {
        return Value::Null;
    }
    let merged = ["allOf", "anyOf", "oneOf"].into_iter();
    if let Some(parts) = merged.filter_map(|key| schema[key].as_array()).next() {
        let mut examples = parts
            .iter()
            .map(|part| example_of(document, part, depth - 1));
        return examples
            .find(|example| !example.is_null())
            .unwrap_or(Value::Null);
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind {
        Some("integer" | "number") => match schema["minimum"].as_i64() {
            Some(least) => json!(least.max(1)),
            None => json!(1),
        },
        Some("boolean") => json!(true),
        Some("array") => json!([example_of(document, &schema["items"], depth - 1)]),
        Some("string") => json!(text_of(schema["format"].as_str())),
        Some("object") | None => {
            let properties = schema["properties"].as_object();
            let fields = properties.into_iter().flatten();
            let fields =
                fields.map(|(name, of)| (name.clone(), example_of(document, of, depth - 1)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Some(_) => Value::Null,
    }
}

fn text_of(format: Option<&str>) -> &'static str {
    match format {
        Some("email") => "alice@example.com",
        Some("uuid") => "00000000-0000-4000-8000-000000000001",
        Some("date") => "2030-01-01",
        Some("date-time") => "2030-01-01T00:00:00Z",
        Some("uri") => "http://example.com/",
        _ => "text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_that_change_something_come_with_a_body_of_their_schema() {
        let document = json!({
            "paths": {
                "/seats/{id}/book": { "post": {
                    "operationId": "book-seat",
                    "parameters": [{ "in": "header", "name": "Idempotency-Key" }],
                    "requestBody": { "content": { "application/json": {
                        "schema": { "$ref": "#/components/schemas/Booking" } } } }
                } },
                "/seats": { "get": {} },
            },
            "components": { "schemas": { "Booking": { "type": "object", "properties": {
                "user_id": { "type": "integer" },
                "email": { "type": "string", "format": "email" },
                "seats": { "type": "array", "items": { "type": "integer", "example": 7 } },
            } } } }
        });
        let wanted = Operation {
            name: "book_seat".into(),
            method: "POST".into(),
            path: "/seats/${id}/book".into(),
            body: Some(json!({ "user_id": 1, "email": "alice@example.com", "seats": [7] })),
            idempotency_key: Some("Idempotency-Key".into()),
        };
        assert_eq!(operations(&document), [wanted]);
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let document = json!({
            "paths": { "/a": { "post": { "requestBody": { "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/A" } } } } } } },
            "components": { "schemas": { "A": { "type": "object", "properties": {
                "a": { "$ref": "#/components/schemas/A" } } } } }
        });
        assert_eq!(operations(&document)[0].name, "post_a");
    }

    #[test]
    fn what_is_no_document_has_no_operations() {
        assert!(operations(&json!([1])).is_empty() && operations(&Value::Null).is_empty());
    }
}
