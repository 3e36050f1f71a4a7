//! Templates: texts with `${name}` in them, parsed once and filled often.
//!
//! - `${name}` is a variable, and one that is missing is an error;
//! - `${name:-text}` is `text` where the variable is missing;
//! - `$${` is a literal `${`. Any other `$` is itself.

mod json;
mod value;

use std::fmt;

pub use json::JsonTemplate;
pub use value::{ValueTemplate, set_all};

use crate::variables::{Value, Variables};

/// A text with variables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Template {
    /// Its parts in their order. Two literals never follow one another, and none is empty.
    pub parts: Vec<Part>,
}

/// One part of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// A text that stays as it is.
    Literal(String),
    /// A variable.
    Variable {
        /// Its name.
        name: String,
        /// What it is where it is missing.
        default: Option<String>,
    },
}

/// A variable that a template needs and that nobody has set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("no variable `{name}`, which `{template}` needs")]
pub struct MissingVariable {
    /// Its name.
    pub name: String,
    /// The whole template, as it is written.
    pub template: String,
}

impl Template {
    /// Reads `text`; the error is a fragment that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut template = Self::default();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, after) = (&rest[..at], &rest[at + 2..]);
            if let Some(before) = before.strip_suffix('$') {
                template.push_literal(before);
                template.push_literal("${");
                rest = after;
                continue;
            }
            template.push_literal(before);
            let Some((inside, after)) = after.split_once('}') else {
                return Err("`${` without its `}`; a literal `${` is written `$${`".to_owned());
            };
            template.parts.push(variable(inside)?);
            rest = after;
        }
        template.push_literal(rest);
        Ok(template)
    }

    /// One that is `text` whatever the variables are.
    pub fn literal(text: impl Into<String>) -> Self {
        let mut template = Self::default();
        template.push_literal(&text.into());
        template
    }

    fn push_literal(&mut self, text: &str) {
        match self.parts.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Literal(last)) => last.push_str(text),
            _ => self.parts.push(Part::Literal(text.to_owned())),
        }
    }

    /// Puts the variables in.
    pub fn fill(&self, variables: &Variables) -> Result<String, MissingVariable> {
        self.fill_with(variables, |text| text.into(), ToString::to_string)
    }

    /// Puts the variables in, each literal and each value changed as told.
    pub(crate) fn fill_with(
        &self,
        variables: &Variables,
        of_literal: impl Fn(&str) -> String,
        of_value: impl Fn(&Value) -> String,
    ) -> Result<String, MissingVariable> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => filled.push_str(&of_literal(text)),
                Part::Variable { name, default } => {
                    filled.push_str(&of_value(&self.value(name, default, variables)?));
                }
            }
        }
        Ok(filled)
    }

    /// The value of one that is a single variable and nothing else, of whatever type it is; the
    /// filled text of any other.
    pub fn fill_value(&self, variables: &Variables) -> Result<Value, MissingVariable> {
        match &self.parts[..] {
            [Part::Variable { name, default }] => self.value(name, default, variables),
            _ => self.fill(variables).map(Value::Text),
        }
    }

    fn value(
        &self,
        name: &str,
        default: &Option<String>,
        variables: &Variables,
    ) -> Result<Value, MissingVariable> {
        let value = variables.get(name).cloned();
        let value = value.or_else(|| default.clone().map(Value::Text));
        value.ok_or_else(|| MissingVariable {
            name: name.to_owned(),
            template: self.to_string(),
        })
    }

    /// The names of the variables that it cannot do without.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable {
                name,
                default: None,
            } => Some(name.as_str()),
            _ => None,
        })
    }
}

/// The variable that stands between `${` and `}`.
fn variable(inside: &str) -> Result<Part, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default.to_owned())),
        None => (inside, None),
    };
    if !is_name(name) {
        return Err(format!(
            "`${{{inside}}}` is no variable: letters, digits, `_`, `-` and `.` make a name; a literal `${{` is written `$${{`"
        ));
    }
    let name = name.to_owned();
    Ok(Part::Variable { name, default })
}

/// Whether a variable can be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
    name.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && name.chars().all(is_letter)
}

/// As it is written: what is parsed from it is the same.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(text) => f.write_str(&text.replace("${", "$${"))?,
                Part::Variable {
                    name,
                    default: None,
                } => write!(f, "${{{name}}}")?,
                Part::Variable {
                    name,
                    default: Some(default),
                } => write!(f, "${{{name}:-{default}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        let variables = Variables::new().with([("a", Value::from("x")), ("n", 1.into())]);
        Template::parse(text).unwrap().fill(&variables).unwrap()
    }

    #[test]
    fn variables_are_put_in_and_other_dollars_stay() {
        assert_eq!(filled("${a}-${n}"), "x-1");
        assert_eq!(
            filled("$a $ $${a} $$${a} ${none:-d} ${none:-}"),
            "$a $ ${a} $${a} d "
        );
        assert_eq!(filled("do $$ begin end $$"), "do $$ begin end $$");
    }

    #[test]
    fn a_missing_variable_is_named_with_where_it_is_needed() {
        let template = Template::parse("Bearer ${token}").unwrap();
        let error = template.fill(&Variables::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no variable `token`, which `Bearer ${token}` needs"
        );
    }

    #[test]
    fn what_is_no_variable_is_an_error() {
        for text in ["${a", "${}", "${a b}", "${1}", "${${a}}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn later_layers_hide_earlier_ones() {
        let mut variables = Variables::new().with([("a", "1"), ("b", "1")]);
        variables.push();
        variables.set("a", "2");
        assert_eq!(variables.get("a"), Some(&"2".into()));
        assert_eq!(variables.get("b"), Some(&"1".into()));
        variables.pop();
        assert_eq!(variables.get("a"), Some(&"1".into()));
        assert_eq!(variables.names().collect::<Vec<_>>(), ["a", "b"]);
    }
}
