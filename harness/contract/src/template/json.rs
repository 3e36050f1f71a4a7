//! JSON whose texts are templates.

use serde_json::{Map, Number, Value as Json};

use super::{MissingVariable, Template};
use crate::variables::Variables;

/// A JSON value with variables. A text that is one variable and nothing else takes its type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum JsonTemplate {
    /// A text, or whatever its only variable is.
    Text(Template),
    /// A number.
    Number(Number),
    /// True or false.
    Boolean(bool),
    /// An array.
    Array(Vec<JsonTemplate>),
    /// An object; its names have no variables.
    Object(Vec<(String, JsonTemplate)>),
}

impl JsonTemplate {
    /// Puts the variables in.
    pub fn fill(&self, variables: &Variables) -> Result<Json, MissingVariable> {
        Ok(match self {
            JsonTemplate::Text(template) => template.fill_value(variables)?.to_json(),
            JsonTemplate::Number(number) => Json::Number(number.clone()),
            JsonTemplate::Boolean(boolean) => Json::Bool(*boolean),
            JsonTemplate::Array(items) => {
                let items = items.iter().map(|item| item.fill(variables));
                Json::Array(items.collect::<Result<_, _>>()?)
            }
            JsonTemplate::Object(fields) => {
                let filled = |(name, value): &(String, JsonTemplate)| {
                    Ok((name.clone(), value.fill(variables)?))
                };
                let fields = fields.iter().map(filled);
                Json::Object(fields.collect::<Result<Map<_, _>, _>>()?)
            }
        })
    }

    /// All its templates.
    pub fn templates(&self) -> Vec<&Template> {
        match self {
            JsonTemplate::Text(template) => vec![template],
            JsonTemplate::Number(_) | JsonTemplate::Boolean(_) => Vec::new(),
            JsonTemplate::Array(items) => items.iter().flat_map(Self::templates).collect(),
            JsonTemplate::Object(fields) => {
                let fields = fields.iter();
                fields.flat_map(|(_, value)| value.templates()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::variables::Value;

    #[test]
    fn a_number_that_stands_alone_stays_one_and_in_a_text_it_is_text() {
        let text = |text| JsonTemplate::Text(Template::parse(text).unwrap());
        let template = JsonTemplate::Object(vec![
            ("a".to_owned(), text("${n}")),
            ("b".to_owned(), text("${n}.")),
            ("c".to_owned(), JsonTemplate::Array(vec![text("${t}")])),
        ]);
        let variables = Variables::new().with([("n", Value::from(1)), ("t", "1".into())]);
        let filled = template.fill(&variables).unwrap();
        assert_eq!(filled, json!({"a": 1, "b": "1.", "c": ["1"]}));
    }
}
