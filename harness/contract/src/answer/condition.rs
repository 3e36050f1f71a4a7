//! One thing that must be so of an answer for a rule to fit.

use rowlock_core::call::Reply;
use serde_json::Value;

use crate::json_path::JsonPath;
use crate::pattern::Pattern;
use crate::source::body_text;

/// Statuses, one by one or by their first digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StatusSet {
    /// Inclusive ranges.
    pub ranges: Vec<(u16, u16)>,
}

impl StatusSet {
    /// Whether it has that status.
    pub fn has(&self, status: u16) -> bool {
        let mut ranges = self.ranges.iter();
        ranges.any(|(first, last)| (*first..=*last).contains(&status))
    }
}

/// Something that must be so of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Condition {
    /// Of what part of it.
    pub subject: Subject,
    /// What.
    pub operator: Operator,
}

/// The part of an answer that a condition is on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The whole body as text.
    Body,
    /// Headers of this name, in lower case.
    Header(String),
    /// The places of the body's JSON where this leads.
    Json(JsonPath),
}

/// What must be so. Where there are several headers or places of JSON, it must be so of one of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operator {
    /// It is there, and is not JSON's `null`; or, if false, it is not.
    Exists(bool),
    /// It is this, of the same type of JSON; a header and a body are texts.
    Equals(Value),
    /// It has this in it: a text, or an array's element.
    Contains(Value),
    /// Its text matches.
    Matches(Pattern),
    /// It is of this type of JSON.
    Type(JsonType),
}

/// A type of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonType {
    /// A text.
    String,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// An array.
    Array,
    /// An object.
    Object,
    /// `null`.
    Null,
}

impl Condition {
    /// Whether it is so of `reply`.
    pub fn holds(&self, reply: &Reply) -> bool {
        let text = |text: &str| Value::String(text.to_owned());
        match &self.subject {
            Subject::Body => {
                let body = body_text(reply);
                let is_there = !body.is_empty();
                self.operator.holds(&[text(&body)][..usize::from(is_there)])
            }
            Subject::Header(name) => {
                let named = reply.headers.iter().filter(|(header, _)| header == name);
                let values: Vec<_> = named.map(|(_, value)| text(value)).collect();
                self.operator.holds(&values)
            }
            Subject::Json(path) => {
                let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
                let values = body.iter().flat_map(|body| path.all(body));
                let values: Vec<_> = values.cloned().collect();
                self.operator.holds(&values)
            }
        }
    }
}

impl Operator {
    fn holds(&self, values: &[Value]) -> bool {
        match self {
            Operator::Exists(expected) => values.iter().any(|it| !it.is_null()) == *expected,
            Operator::Equals(expected) => values.iter().any(|it| is_equal(it, expected)),
            Operator::Contains(part) => values.iter().any(|it| has(it, part)),
            Operator::Matches(pattern) => values.iter().any(|it| pattern.is_in(&plain(it))),
            Operator::Type(kind) => values.iter().any(|it| kind.is_of(it)),
        }
    }
}

/// A value as text: a string without its quotes, all else as JSON writes it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn is_equal(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        // 20 and 20.0 are one number.
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => value == expected,
    }
}

fn has(value: &Value, part: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| is_equal(item, part)),
        Value::Object(fields) => matches!(part, Value::String(name) if fields.contains_key(name)),
        other => plain(other).contains(&plain(part)),
    }
}

impl JsonType {
    /// All of them with their words.
    pub const WORDS: [(&'static str, Self); 7] = [
        ("string", JsonType::String),
        ("number", JsonType::Number),
        ("integer", JsonType::Integer),
        ("boolean", JsonType::Boolean),
        ("array", JsonType::Array),
        ("object", JsonType::Object),
        ("null", JsonType::Null),
    ];

    fn is_of(self, value: &Value) -> bool {
        match self {
            JsonType::String => value.is_string(),
            JsonType::Number => value.is_number(),
            JsonType::Integer => value.is_i64() || value.is_u64(),
            JsonType::Boolean => value.is_boolean(),
            JsonType::Array => value.is_array(),
            JsonType::Object => value.is_object(),
            JsonType::Null => value.is_null(),
        }
    }
}
