//! Variables: what stands for `${name}` in a template.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Number;

/// A variable's value. A number stays one where it stands alone in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number, as exact as it was written.
    Number(Number),
    /// True or false.
    Boolean(bool),
}

impl Value {
    /// The same in JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Text(text) => text.as_str().into(),
            Value::Number(number) => serde_json::Value::Number(number.clone()),
            Value::Boolean(boolean) => (*boolean).into(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Number(number) => number.fmt(f),
            Value::Boolean(boolean) => boolean.fmt(f),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(number.into())
    }
}

/// Variables in layers: what is set on a later layer hides what an earlier one says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    layers: Vec<BTreeMap<String, Value>>,
}

impl Variables {
    /// No variables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of this process's environment, as `env.NAME`. A name or value that is no UTF-8 is left out.
    pub fn of_environment() -> Self {
        let mut variables = Self::new();
        for (name, value) in std::env::vars_os() {
            if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) {
                variables.set(format!("env.{name}"), value);
            }
        }
        variables
    }

    /// Begins a new layer: what is set from now on hides what was set before.
    pub fn push(&mut self) {
        self.layers.push(BTreeMap::new());
    }

    /// Takes the last layer away with all that was set on it.
    pub fn pop(&mut self) {
        self.layers.pop();
    }

    /// Sets a variable on the last layer.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        if self.layers.is_empty() {
            self.push();
        }
        if let Some(last) = self.layers.last_mut() {
            last.insert(name.into(), value.into());
        }
    }

    /// The same with more on a layer above all others.
    #[must_use]
    pub fn with<N: Into<String>, V: Into<Value>>(
        &self,
        more: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut variables = self.clone();
        variables.push();
        for (name, value) in more {
            variables.set(name, value);
        }
        variables
    }

    /// What `name` stands for.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.layers.iter().rev().find_map(|layer| layer.get(name))
    }

    /// Those that an actor is known by to others: each `NAME` as `ACTOR.NAME`. What the harness sets has a
    /// `.` in its name already, and is left out.
    pub fn of_actor(&self, actor: &str) -> Vec<(String, Value)> {
        let own = self.names().filter(|name| !name.contains('.'));
        let seen = own.filter_map(|name| {
            let value = self.get(name)?.clone();
            Some((format!("{actor}.{name}"), value))
        });
        seen.collect()
    }

    /// All names, each once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names: BTreeSet<_> = self.layers.iter().flat_map(BTreeMap::keys).collect();
        names.into_iter().map(String::as_str)
    }
}
