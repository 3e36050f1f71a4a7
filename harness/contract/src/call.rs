//! Calls as a contract describes them, and as they are with their variables filled in.

mod address;
mod body;

pub use body::Body;
use rowlock_core::call::{Call, Reply};

use crate::answer::Rule;
use crate::json_path::JsonPath;
use crate::source::{Capture, CaptureError};
use crate::template::{MissingVariable, Template};
use crate::variables::{Value, Variables};

/// One call of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallSpec {
    /// Its name.
    pub name: String,
    /// The HTTP method.
    pub method: String,
    /// The path; what variables bring is percent-encoded, but for one that the path begins with.
    pub path: Template,
    /// What is appended to the path as its query.
    pub query: Vec<(String, Template)>,
    /// The headers, names in lower case.
    pub headers: Vec<(String, Template)>,
    /// The body.
    pub body: Body,
    /// What its answer sets.
    pub captures: Vec<Capture>,
    /// The places of its answer's JSON that must fit a serial order as its rows must.
    pub compare: Vec<JsonPath>,
    /// The header that takes an idempotency key, in lower case.
    pub idempotency_key: Option<String>,
    /// What its answers mean: its own rules, then those for all calls.
    pub rules: Vec<Rule>,
    /// The line of the contract that it begins on.
    pub line: usize,
}

/// Why a call could not be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// The contract has no call of that name; of one that was read, all names are there.
    #[error("no call `{call}`")]
    NoSuchCall {
        /// The name.
        call: String,
    },
    /// Nobody has set a variable.
    #[error("call `{call}`, {place}: {source}")]
    Missing {
        /// The call's name.
        call: String,
        /// In which part of it.
        place: String,
        /// The variable.
        source: MissingVariable,
    },
    /// What came of it is no path or header.
    #[error("call `{call}`, {place}: {value:?} {why}")]
    Unfit {
        /// The call's name.
        call: String,
        /// In which part of it.
        place: String,
        /// What came of it.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl CallSpec {
    /// Fills the variables in. `key` is the idempotency key, and is sent where the call has a header
    /// for it; templates have it as `key`.
    pub fn fill(&self, variables: &Variables, key: Option<&str>) -> Result<Call, FillError> {
        let with_key = key.map(|key| variables.with([("key", key)]));
        let variables = with_key.as_ref().unwrap_or(variables);
        let body = self.body.fill(variables);
        let body = body.map_err(|source| self.missing("body", source))?;
        let mut headers = self.filled_headers(variables)?;
        if let Some(content_type) = self.body.content_type() {
            set_default(&mut headers, "content-type", content_type);
        }
        if let (Some(header), Some(key)) = (&self.idempotency_key, key) {
            set_default(&mut headers, header, key);
        }
        Ok(Call {
            label: self.name.clone(),
            method: self.method.clone(),
            path: self.filled_path(variables)?,
            headers,
            body,
        })
    }

    fn filled_path(&self, variables: &Variables) -> Result<String, FillError> {
        let path = address::fill_path(&self.path, variables);
        let path = path.map_err(|source| self.missing("path", source))?;
        if !path.starts_with('/') {
            return Err(self.unfit("path", path, "does not begin with `/`"));
        }
        let query = address::fill_pairs(&self.query, variables);
        let query = query.map_err(|source| self.missing("query", source))?;
        Ok(match (query.is_empty(), path.contains('?')) {
            (true, _) => path,
            (false, false) => format!("{path}?{query}"),
            (false, true) => format!("{path}&{query}"),
        })
    }

    fn filled_headers(&self, variables: &Variables) -> Result<Vec<(String, String)>, FillError> {
        let fill = |(name, template): &(String, Template)| {
            let place = format!("header `{name}`");
            let value = template.fill(variables);
            let value = value.map_err(|source| self.missing(&place, source))?;
            if value
                .chars()
                .any(|letter| letter.is_control() && letter != '\t')
            {
                return Err(self.unfit(&place, value, "has a control character in it"));
            }
            Ok((name.clone(), value))
        };
        self.headers.iter().map(fill).collect()
    }

    /// What its answer sets, each of `captures`.
    pub fn capture(&self, reply: &Reply) -> Result<Vec<(String, Value)>, CaptureError> {
        let found = |capture: &Capture| Ok((capture.name.clone(), capture.find(reply)?));
        self.captures.iter().map(found).collect()
    }

    /// What of an answer must fit a serial order: all that is at each of `compare`, as JSON.
    pub fn compared(&self, reply: &Reply) -> Vec<String> {
        if self.compare.is_empty() {
            return Vec::new();
        }
        let body = serde_json::from_slice(&reply.body).unwrap_or(serde_json::Value::Null);
        let at = |path: &JsonPath| {
            let values: Vec<_> = path.all(&body).iter().map(ToString::to_string).collect();
            values.join(", ")
        };
        self.compare.iter().map(at).collect()
    }

    /// All its templates, each with the part of the call that it stands in.
    pub fn templates(&self) -> Vec<(String, &Template)> {
        let mut templates = vec![("path".to_owned(), &self.path)];
        let named = |part: &str, pairs: &'_ [(String, Template)]| -> Vec<String> {
            pairs
                .iter()
                .map(|(name, _)| format!("{part}.{name}"))
                .collect()
        };
        let query = named("query", &self.query).into_iter();
        templates.extend(query.zip(self.query.iter().map(|(_, template)| template)));
        let headers = named("headers", &self.headers).into_iter();
        templates.extend(headers.zip(self.headers.iter().map(|(_, template)| template)));
        let (part, of_body) = self.body.templates();
        templates.extend(
            of_body
                .into_iter()
                .map(|template| (part.to_owned(), template)),
        );
        templates
    }

    /// Whether it sends an idempotency key, be it in its header or as the variable `key`.
    pub fn takes_key(&self) -> bool {
        let templates = self.templates();
        let mut names = templates.iter().flat_map(|(_, template)| template.needs());
        self.idempotency_key.is_some() || names.any(|name| name == "key")
    }

    fn missing(&self, place: &str, source: MissingVariable) -> FillError {
        FillError::Missing {
            call: self.name.clone(),
            place: place.to_owned(),
            source,
        }
    }

    fn unfit(&self, place: &str, value: String, why: &'static str) -> FillError {
        FillError::Unfit {
            call: self.name.clone(),
            place: place.to_owned(),
            value,
            why,
        }
    }
}

fn set_default(headers: &mut Vec<(String, String)>, name: &str, value: &str) {
    if !headers.iter().any(|(header, _)| header == name) {
        headers.push((name.to_owned(), value.to_owned()));
    }
}
