//! The bodies that a call can have.

use serde_json::{Map, Value};

use super::address;
use crate::template::{JsonTemplate, MissingVariable, Template};
use crate::variables::Variables;

/// What a call sends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Body {
    /// Nothing.
    #[default]
    None,
    /// JSON.
    Json(JsonTemplate),
    /// A form, as browsers send it; a field may be there more than once.
    Form(Vec<(String, Template)>),
    /// A text.
    Text(Template),
    /// A GraphQL request.
    GraphQl {
        /// The document.
        query: Template,
        /// Which of its operations, if it has several.
        operation: Option<String>,
        /// Its variables.
        variables: Vec<(String, JsonTemplate)>,
    },
}

impl Body {
    /// The bytes with the variables filled in.
    pub fn fill(&self, variables: &Variables) -> Result<Vec<u8>, MissingVariable> {
        Ok(match self {
            Body::None => Vec::new(),
            Body::Json(json) => json.fill(variables)?.to_string().into_bytes(),
            Body::Form(fields) => address::fill_pairs(fields, variables)?.into_bytes(),
            Body::Text(text) => text.fill(variables)?.into_bytes(),
            Body::GraphQl {
                query,
                operation,
                variables: own,
            } => {
                let mut body = Map::new();
                body.insert("query".to_owned(), query.fill(variables)?.into());
                if let Some(operation) = operation {
                    body.insert("operationName".to_owned(), operation.as_str().into());
                }
                let own = JsonTemplate::Object(own.clone()).fill(variables)?;
                body.insert("variables".to_owned(), own);
                Value::Object(body).to_string().into_bytes()
            }
        })
    }

    /// The content type that it has unless a header says otherwise.
    pub fn content_type(&self) -> Option<&'static str> {
        match self {
            Body::None => None,
            Body::Json(_) | Body::GraphQl { .. } => Some("application/json"),
            Body::Form(_) => Some("application/x-www-form-urlencoded"),
            Body::Text(_) => Some("text/plain; charset=utf-8"),
        }
    }

    /// What it is called in a contract, and its templates.
    pub(crate) fn templates(&self) -> (&'static str, Vec<&Template>) {
        match self {
            Body::None => ("body", Vec::new()),
            Body::Json(json) => ("json", json.templates()),
            Body::Form(fields) => ("form", fields.iter().map(|(_, text)| text).collect()),
            Body::Text(text) => ("text", vec![text]),
            Body::GraphQl {
                query, variables, ..
            } => {
                let of_variables = variables.iter().flat_map(|(_, json)| json.templates());
                ("graphql", [query].into_iter().chain(of_variables).collect())
            }
        }
    }
}
