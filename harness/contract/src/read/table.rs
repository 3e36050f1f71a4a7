//! A table of the file. What is never asked for is unknown.

use std::cell::RefCell;

use toml::de::DeTable;

use super::context::Context;
use super::entry::Entry;
use super::nearest::or_nearest;

/// Keys of the whole file that are no tables: TOML takes one that stands too late for a table's.
const OF_THE_FILE: [&str; 5] = ["name", "atomic", "answers", "story", "stories"];

/// A table with the keys that have been asked for.
#[derive(Debug)]
pub(super) struct Table<'c, 't> {
    table: &'c DeTable<'t>,
    key: String,
    offset: usize,
    context: &'c Context<'t>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'c, 't> Table<'c, 't> {
    pub(super) fn new(
        table: &'c DeTable<'t>,
        key: String,
        offset: usize,
        context: &'c Context<'t>,
    ) -> Self {
        Self {
            table,
            key,
            offset,
            context,
            asked: RefCell::default(),
        }
    }

    fn key_of(&self, name: &str) -> String {
        let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let name = match !name.is_empty() && name.chars().all(is_bare) {
            true => name.to_owned(),
            false => format!("{name:?}"),
        };
        match self.key.as_str() {
            "" => name,
            key => format!("{key}.{name}"),
        }
    }

    /// The value of a key; from now on the key is known.
    pub(super) fn get(&self, name: &'static str) -> Option<Entry<'c, 't>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&name) {
            asked.push(name);
        }
        let value = self.table.get(name)?;
        Some(Entry::new(self.key_of(name), value, self.context))
    }

    /// The value of a key that must be there.
    pub(super) fn require(&self, name: &'static str) -> Option<Entry<'c, 't>> {
        let entry = self.get(name);
        if entry.is_none() {
            let message = format!("`{name}` is missing");
            self.context.wrong(self.offset, &self.key, message);
        }
        entry
    }

    /// All entries, in the order of the file, but those that have been asked for by name.
    pub(super) fn others(&self) -> Vec<(&'c str, Entry<'c, 't>)> {
        let asked = self.asked.borrow();
        let others = self.table.iter().filter(|(name, _)| {
            let name: &str = name.get_ref();
            !asked.contains(&name)
        });
        let mut others: Vec<_> = others.collect();
        others.sort_by_key(|(name, _)| name.span().start);
        let entry = |(name, value): (&'c toml::Spanned<_>, _)| {
            let name: &'c std::borrow::Cow<'t, str> = name.get_ref();
            (&**name, Entry::new(self.key_of(name), value, self.context))
        };
        others.into_iter().map(entry).collect()
    }

    /// Notes that there is none of some keys, or more than one.
    pub(super) fn one_of(&self, names: &[&'static str]) {
        let there: Vec<_> = names
            .iter()
            .filter(|name| self.get(name).is_some())
            .collect();
        match there[..] {
            [_] => {}
            [] => {
                let names = names.join("`, `");
                self.wrong(format!("one of `{names}` is missing"));
            }
            [first, second, ..] => self.wrong(format!(
                "`{first}` and `{second}` contradict each other: one of them is allowed"
            )),
        }
    }

    /// Notes that there is more than one of some keys.
    pub(super) fn at_most_one_of(&self, names: &[&'static str]) {
        if names.iter().any(|name| self.get(name).is_some()) {
            self.one_of(names);
        }
    }

    /// Notes a mistake of the whole table.
    pub(super) fn wrong(&self, message: impl Into<String>) {
        self.context.wrong(self.offset, &self.key, message);
    }

    /// Notes each key that nobody has asked for.
    pub(super) fn end(&self) {
        let asked = self.asked.borrow();
        for (name, _) in self.table {
            let text: &str = name.get_ref();
            if !asked.contains(&text) {
                let mut message = or_nearest("unknown key", text, &asked, "allowed");
                if !self.key.is_empty() && OF_THE_FILE.contains(&text) {
                    message += "; the file's own stands before the first table";
                }
                self.context
                    .wrong(name.span().start, &self.key_of(text), message);
            }
        }
    }
}
