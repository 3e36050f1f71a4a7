//! One value of the file, and what it can be taken for. Each `None` has noted why.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeValue;

use super::context::{Context, Referent};
use super::nearest::or_nearest;
use super::table::Table;
use crate::template::Template;

/// A value with its key.
#[derive(Debug, Clone)]
pub(super) struct Entry<'c, 't> {
    pub(super) key: String,
    value: &'c Spanned<DeValue<'t>>,
    pub(super) context: &'c Context<'t>,
}

impl<'c, 't> Entry<'c, 't> {
    pub(super) fn new(
        key: String,
        value: &'c Spanned<DeValue<'t>>,
        context: &'c Context<'t>,
    ) -> Self {
        context.stands(&key, value.span().start);
        Self {
            key,
            value,
            context,
        }
    }

    pub(super) fn value(&self) -> &'c DeValue<'t> {
        self.value.get_ref()
    }

    pub(super) fn offset(&self) -> usize {
        self.value.span().start
    }

    pub(super) fn line(&self) -> usize {
        self.context.line(self.offset())
    }

    /// Notes a mistake; nothing comes of it.
    pub(super) fn wrong<T>(&self, message: impl Into<String>) -> Option<T> {
        self.context.wrong(self.offset(), &self.key, message);
        None
    }

    /// Notes that it should be something else.
    pub(super) fn expected<T>(&self, expected: &str) -> Option<T> {
        let kind = match self.value() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a decimal",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.wrong(format!("{kind}, where {expected} is expected"))
    }

    pub(super) fn text(&self) -> Option<&'c str> {
        match self.value() {
            DeValue::String(text) => Some(text),
            _ => self.expected("a string"),
        }
    }

    /// A text that is not empty.
    pub(super) fn name(&self) -> Option<String> {
        match self.text()? {
            "" => self.wrong("it is empty"),
            text => Some(text.to_owned()),
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        self.value()
            .as_bool()
            .or_else(|| self.expected("a boolean"))
    }

    /// A whole number within bounds.
    pub(super) fn whole(&self, first: u16, last: u16) -> Option<u16> {
        let number = match self.value() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => return self.expected("a whole number"),
        };
        let number = number.and_then(|number| u16::try_from(number).ok());
        match number.filter(|number| (first..=last).contains(number)) {
            None => self.wrong(format!("it is not a number from {first} to {last}")),
            number => number,
        }
    }

    /// A duration in seconds, above 0.
    pub(super) fn seconds(&self) -> Option<std::time::Duration> {
        let seconds: Option<f64> = match self.value() {
            DeValue::Integer(number) => number.as_str().parse().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => return self.expected("a number of seconds"),
        };
        let above_0 = seconds.filter(|seconds| *seconds > 0.0 && *seconds <= 86_400.0);
        match above_0 {
            None => self.wrong("it is not a number of seconds above 0, and at most a day"),
            Some(seconds) => Some(std::time::Duration::from_secs_f64(seconds)),
        }
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Some(*meaning),
            None => {
                let allowed: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                let message = format!("`{text}` is not known here");
                self.wrong(or_nearest(&message, text, &allowed, "allowed"))
            }
        }
    }

    pub(super) fn template(&self) -> Option<Template> {
        let text = self.text()?;
        self.noted(Template::parse(text))
    }

    /// What it is read as, or the mistake noted.
    pub(super) fn noted<T>(&self, read: Result<T, String>) -> Option<T> {
        read.map_or_else(|message| self.wrong(message), Some)
    }

    /// A path below `directory`, which must be there if the contract is to be used now.
    pub(super) fn path(&self, directory: &Path) -> Option<PathBuf> {
        let path = directory.join(self.name()?);
        match self.context.outside.is_some() && !path.exists() {
            true => self.wrong(format!("there is no {}", path.display())),
            false => Some(path),
        }
    }

    /// A call's or actor's name, which must lead somewhere.
    pub(super) fn reference(&self, to: Referent) -> Option<String> {
        let name = self.name()?;
        self.context.refers(to, &name, &self.key);
        Some(name)
    }

    pub(super) fn table(&self) -> Option<Table<'c, 't>> {
        match self.value() {
            DeValue::Table(table) => Some(Table::new(
                table,
                self.key.clone(),
                self.offset(),
                self.context,
            )),
            _ => self.expected("a table"),
        }
    }

    /// Each of an array.
    pub(super) fn items(&self) -> Option<Vec<Self>> {
        match self.value() {
            DeValue::Array(items) => {
                let item =
                    |(index, item)| Self::new(format!("{}[{index}]", self.key), item, self.context);
                Some(items.iter().enumerate().map(item).collect())
            }
            _ => self.expected("an array"),
        }
    }

    /// Each of an array, read by `read`; those that cannot be are left out, and noted.
    pub(super) fn each<T>(&self, read: impl Fn(&Self) -> Option<T>) -> Vec<T> {
        let items = self.items().unwrap_or_default();
        items.iter().filter_map(read).collect()
    }
}
