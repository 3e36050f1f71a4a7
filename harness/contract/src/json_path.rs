//! Paths into JSON: `$.order.id`, `$.errors[0].message`, `$["a b"]`, `$.items[*].id`, `$.items[-1]`.
//!
//! The one idea: of RFC 9535 only what a contract needs, which is names, indices and wildcards. There
//! are no filters, slices or descents, and a path that has one is an error when the contract is read.

use std::fmt;

use serde_json::Value;

/// A path that leads to none, one, or by a wildcard several places of a JSON value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Step {
    Name(String),
    /// Negative from the end.
    Index(i64),
    Wildcard,
}

impl JsonPath {
    /// Reads `text`; the error is a fragment that says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let Some(mut rest) = text.strip_prefix('$') else {
            return Err("a JSON path begins with `$`, like `$.order.id`".to_owned());
        };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest)?;
            steps.push(step);
            rest = after;
        }
        let text = text.to_owned();
        Ok(Self { text, steps })
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// All the places of `value` that it leads to.
    pub fn all<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let mut places = vec![value];
        for step in &self.steps {
            places = places.into_iter().flat_map(|it| step.from(it)).collect();
        }
        places
    }

    /// The first place of `value` that it leads to.
    pub fn first<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.all(value).first().copied()
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Step {
    fn from<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match (self, value) {
            (Step::Name(name), Value::Object(object)) => object.get(name).into_iter().collect(),
            (Step::Index(index), Value::Array(array)) => {
                let from_start = match usize::try_from(*index) {
                    Ok(index) => Some(index),
                    Err(_) => usize::try_from(index.unsigned_abs())
                        .ok()
                        .and_then(|back| array.len().checked_sub(back)),
                };
                from_start
                    .and_then(|at| array.get(at))
                    .into_iter()
                    .collect()
            }
            (Step::Wildcard, Value::Array(array)) => array.iter().collect(),
            (Step::Wildcard, Value::Object(object)) => object.values().collect(),
            _ => Vec::new(),
        }
    }
}

/// The first step of `text`, and what comes after it.
fn step(text: &str) -> Result<(Step, &str), String> {
    if text.starts_with("..") {
        return Err("`..` is not known here: name every step".to_owned());
    }
    if let Some(rest) = text.strip_prefix(".*") {
        return Ok((Step::Wildcard, rest));
    }
    if let Some(rest) = text.strip_prefix('.') {
        let is_name = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '@');
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        return match rest.split_at(end) {
            ("", _) => Err("no name after `.`".to_owned()),
            (name, rest) => Ok((Step::Name(name.to_owned()), rest)),
        };
    }
    match text.strip_prefix('[') {
        Some(rest) => bracket(rest),
        None => Err(format!("`.` or `[` is expected before `{text}`")),
    }
}

/// The step in brackets of which `text` is what follows the opening one.
fn bracket(text: &str) -> Result<(Step, &str), String> {
    let unclosed = || "`[` without its `]`".to_owned();
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    if let Some(quote) = quote {
        let (name, rest) = text[1..].split_once(quote).ok_or_else(unclosed)?;
        let rest = rest.strip_prefix(']').ok_or_else(unclosed)?;
        return Ok((Step::Name(name.to_owned()), rest));
    }
    let (inside, rest) = text.split_once(']').ok_or_else(unclosed)?;
    if inside == "*" {
        return Ok((Step::Wildcard, rest));
    }
    let index = inside.parse().map_err(|_| {
        format!("`[{inside}]` is not known here: an index, `[*]` or `[\"a name\"]` is")
    })?;
    Ok((Step::Index(index), rest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::JsonPath;

    #[test]
    fn names_indices_and_wildcards_lead_where_they_say() {
        let value = json!({"a": {"b c": [10, 20, 30]}, "list": [{"id": 1}, {"id": 2}, {}]});
        let ways = [
            ("$", vec![value.clone()]),
            ("$.a['b c'][0]", vec![json!(10)]),
            ("$[\"a\"][\"b c\"][-1]", vec![json!(30)]),
            ("$.list[*].id", vec![json!(1), json!(2)]),
            ("$.list[3]", vec![]),
            ("$.list[-4]", vec![]),
            ("$.a.none", vec![]),
            ("$.list.id", vec![]),
        ];
        for (text, expected) in ways {
            let found = JsonPath::new(text).unwrap();
            let found: Vec<_> = found.all(&value).into_iter().cloned().collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_path_says_why() {
        let wrong = [
            ("a.b", "begins with `$`"),
            ("$..a", "name every step"),
            ("$.a[", "without its `]`"),
            ("$.a[?(@.b)]", "is not known here"),
            ("$.", "no name"),
            ("$a", "is expected before `a`"),
        ];
        for (text, expected) in wrong {
            let error = JsonPath::new(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
