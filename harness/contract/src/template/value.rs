//! A variable's value that may have other variables in it.

use super::{MissingVariable, Template};
use crate::variables::{Value, Variables};

/// What a contract sets a variable to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ValueTemplate {
    /// A text, or whatever its only variable is.
    Text(Template),
    /// A number or boolean.
    Fixed(Value),
}

/// Sets variables one after another; each may use those before it.
pub fn set_all(
    values: &[(String, ValueTemplate)],
    variables: &mut Variables,
) -> Result<(), MissingVariable> {
    for (name, value) in values {
        let value = value.fill(variables)?;
        variables.set(name, value);
    }
    Ok(())
}

impl ValueTemplate {
    /// Puts the variables in.
    pub fn fill(&self, variables: &Variables) -> Result<Value, MissingVariable> {
        match self {
            ValueTemplate::Text(template) => template.fill_value(variables),
            ValueTemplate::Fixed(value) => Ok(value.clone()),
        }
    }

    /// The names of the variables that it cannot do without.
    pub fn needs(&self) -> Vec<&str> {
        match self {
            ValueTemplate::Text(template) => template.needs().collect(),
            ValueTemplate::Fixed(_) => Vec::new(),
        }
    }
}
