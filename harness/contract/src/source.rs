//! Where in an answer something stands: for captures, and for the reasons of refusals.

use std::fmt;

use rowlock_core::call::Reply;
use serde_json::Number;

use crate::cookies;
use crate::json_path::JsonPath;
use crate::pattern::Pattern;
use crate::variables::Value;

/// A place in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// The first value at a path of the body's JSON.
    Json(JsonPath),
    /// A header, its name in lower case.
    Header(String),
    /// A cookie that the answer sets.
    Cookie(String),
    /// The first group of a regular expression, found in the body.
    Regex(Pattern),
}

/// Of which type a captured value is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CaptureType {
    /// JSON's own type, and text from anywhere else.
    #[default]
    AsItIs,
    /// A text.
    Text,
    /// A number.
    Number,
}

/// A variable that a call's answer sets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Capture {
    /// The variable's name.
    pub name: String,
    /// Where its value stands.
    pub source: Source,
    /// What is made of it.
    pub kind: CaptureType,
}

/// An answer that has not what was to be captured of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("`{name}` is not in the answer: no {source_text}; it was {answer}")]
pub struct CaptureError {
    /// The variable that was to be set.
    pub name: String,
    /// Where it was looked for, in words.
    pub source_text: String,
    /// The answer, shortened.
    pub answer: String,
}

impl Source {
    /// What stands there; JSON's `null` is nothing, arrays and objects are their text.
    pub fn find(&self, reply: &Reply) -> Option<Value> {
        match self {
            Source::Json(path) => {
                let body = serde_json::from_slice(&reply.body).ok()?;
                of_json(path.first(&body)?)
            }
            Source::Header(name) => header(reply, name).map(Value::from),
            Source::Cookie(name) => cookies::set_by(reply)
                .find(|cookie| cookie.name() == name)
                .map(|cookie| cookie.value().into()),
            Source::Regex(pattern) => pattern.first(&body_text(reply)).map(Value::from),
        }
    }
}

fn of_json(value: &serde_json::Value) -> Option<Value> {
    Some(match value {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(boolean) => Value::Boolean(*boolean),
        serde_json::Value::Number(number) => Value::Number(number.clone()),
        serde_json::Value::String(text) => Value::Text(text.clone()),
        other => Value::Text(other.to_string()),
    })
}

impl Capture {
    /// What it is in `reply`.
    pub fn find(&self, reply: &Reply) -> Result<Value, CaptureError> {
        let value = self.source.find(reply).and_then(|value| match self.kind {
            CaptureType::AsItIs => Some(value),
            CaptureType::Text => Some(Value::Text(value.to_string())),
            CaptureType::Number => {
                let number: Number = value.to_string().trim().parse().ok()?;
                Some(Value::Number(number))
            }
        });
        value.ok_or_else(|| CaptureError {
            name: self.name.clone(),
            source_text: match self.kind {
                CaptureType::Number => format!("number at {}", self.source),
                _ => self.source.to_string(),
            },
            answer: describe(reply),
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Json(path) => write!(f, "JSON at `{path}`"),
            Source::Header(name) => write!(f, "header `{name}`"),
            Source::Cookie(name) => write!(f, "cookie `{name}`"),
            Source::Regex(pattern) => write!(f, "text that matches `{}`", pattern.as_str()),
        }
    }
}

/// The first header of that name, in lower case.
pub(crate) fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    let named = reply.headers.iter().find(|(header, _)| header == name);
    named.map(|(_, value)| value.as_str())
}

/// The body as far as it is text.
pub(crate) fn body_text(reply: &Reply) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&reply.body)
}

/// How much of a body is shown, in characters.
const SHOWN: usize = 200;

/// An answer in one line: its status, where it leads, and the beginning of its body.
pub fn describe(reply: &Reply) -> String {
    let mut line = reply.status.to_string();
    if let Some(location) = header(reply, "location") {
        line += &format!(" to {location}");
    }
    let body = body_text(reply);
    let body = body.split_whitespace().collect::<Vec<_>>().join(" ");
    match body.char_indices().nth(SHOWN) {
        _ if body.is_empty() => line + " without a body",
        Some((end, _)) => format!("{line}: {}…", &body[..end]),
        None => format!("{line}: {body}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::reply;

    fn capture(source: Source, kind: CaptureType) -> Capture {
        let name = "it".to_owned();
        Capture { name, source, kind }
    }

    #[test]
    fn each_source_finds_what_is_there() {
        let headers = [
            ("location", "/orders/7"),
            ("set-cookie", "sid=a%20b; Path=/; HttpOnly"),
        ];
        let page = reply(
            200,
            &headers,
            r#"{"order": {"id": 7, "no": "n"}, "csrf" value="c1"}"#,
        );
        let json = reply(
            200,
            &headers,
            r#"{"order": {"id": 7, "no": "n"}, "none": null}"#,
        );
        let path = |text| Source::Json(JsonPath::new(text).unwrap());
        assert_eq!(path("$.order.id").find(&json), Some(7.into()));
        assert_eq!(path("$.order.no").find(&json), Some("n".into()));
        assert_eq!(path("$.none").find(&json), None);
        assert_eq!(path("$.order.id").find(&page), None);
        let header = Source::Header("location".to_owned());
        assert_eq!(header.find(&json), Some("/orders/7".into()));
        let cookie = Source::Cookie("sid".to_owned());
        assert_eq!(cookie.find(&json), Some("a%20b".into()));
        let regex = Source::Regex(Pattern::new(r#"value="([^"]+)"#).unwrap());
        assert_eq!(regex.find(&page), Some("c1".into()));
        assert_eq!(regex.find(&json), None);
    }

    #[test]
    fn a_type_that_is_asked_for_is_made_or_missing() {
        let json = reply(200, &[], r#"{"id": 7, "no": "12", "name": "x"}"#);
        let found =
            |path, kind| capture(Source::Json(JsonPath::new(path).unwrap()), kind).find(&json);
        assert_eq!(found("$.id", CaptureType::Text), Ok("7".into()));
        assert_eq!(found("$.no", CaptureType::Number), Ok(12.into()));
        assert!(found("$.name", CaptureType::Number).is_err());
    }

    #[test]
    fn one_that_is_missing_says_what_the_answer_was() {
        let page = reply(302, &[("location", "/login")], "");
        let source = Source::Cookie("sid".to_owned());
        let error = capture(source, CaptureType::AsItIs).find(&page);
        assert_eq!(
            error.unwrap_err().to_string(),
            "`it` is not in the answer: no cookie `sid`; it was 302 to /login without a body"
        );
        let long = reply(500, &[], &"a\n ".repeat(300));
        assert_eq!(describe(&long).chars().count(), "500: ".len() + SHOWN + 1);
    }
}
