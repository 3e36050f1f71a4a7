//! Which variables there are when a call is made.

use std::collections::BTreeSet;

use super::context::Context;
use super::nearest::or_nearest;
use crate::actor::PlannedCall;
use crate::call::CallSpec;
use crate::contract::Contract;
use crate::template::ValueTemplate;

/// What the harness itself sets, wherever a template stands.
const EVERYWHERE: [&str; 10] = [
    "port",
    "host",
    "url",
    "replica",
    "database.url",
    "database.host",
    "database.port",
    "database.user",
    "database.password",
    "database.name",
];

/// What it sets for calls alone.
const IN_CALLS: [&str; 2] = ["actor", "key"];

/// The variables that somebody has.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// What the contract sets.
    names: BTreeSet<String>,
    /// Whether calls are made, and not processes started or SQL run.
    in_calls: bool,
}

impl Known {
    pub(super) fn new(in_calls: bool) -> Self {
        let names = BTreeSet::new();
        Self { names, in_calls }
    }

    pub(super) fn add(&mut self, name: &str) {
        self.names.insert(name.to_owned());
    }

    /// The same with the variables of a list.
    pub(super) fn with(&self, more: &[(String, ValueTemplate)]) -> Self {
        let mut known = self.clone();
        known
            .names
            .extend(more.iter().map(|(name, _)| name.clone()));
        known
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(name)
            || EVERYWHERE.contains(&name)
            || name.starts_with("env.")
            || (self.in_calls && (IN_CALLS.contains(&name) || name.starts_with("cookie.")))
    }

    /// All names that a message can list.
    fn all(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.names.iter().map(String::as_str).collect();
        names.extend(EVERYWHERE);
        if self.in_calls {
            names.extend(IN_CALLS.into_iter().chain(["cookie.NAME"]));
        }
        names.push("env.NAME");
        names
    }
}

/// Somebody who makes calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walker<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) contract: &'a Contract,
    /// Who, for messages.
    pub(super) who: &'a str,
    /// Whether what is missing is noted.
    pub(super) notes: bool,
}

impl Walker<'_> {
    /// Makes calls one after another; `known` has what they capture. Whether nothing was missing.
    pub(super) fn makes(&self, story: &[PlannedCall], known: &mut Known) -> bool {
        let mut is_complete = true;
        for planned in story {
            let Some(call) = self.contract.call(&planned.call) else {
                continue;
            };
            let here = known.with(&planned.with);
            for (part, template) in call.templates() {
                let key = format!("calls.{}.{part}", call.name);
                is_complete &= self.needs(template.needs(), &here, &key);
            }
            call.captures.iter().for_each(|it| known.add(&it.name));
        }
        is_complete
    }

    /// Whether all of `names` are known; those that are not are noted at `key`.
    pub(super) fn needs<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
        known: &Known,
        key: &str,
    ) -> bool {
        let is_missing = |name: &&str| !known.has(name) || self.is_missing_outside(name);
        let missing: Vec<_> = names.into_iter().filter(is_missing).collect();
        for name in &missing {
            if self.notes {
                self.context.wrong_at(key, self.message(name, known));
            }
        }
        missing.is_empty()
    }

    fn is_missing_outside(&self, name: &str) -> bool {
        let outside = self.context.outside.filter(|_| name.starts_with("env."));
        outside.is_some_and(|outside| outside.get(name).is_none())
    }

    fn message(&self, name: &str, known: &Known) -> String {
        if let Some(outside) = name.strip_prefix("env.") {
            return format!(
                "the environment has no `{outside}`; `${{{name}:-TEXT}}` is TEXT where it has none"
            );
        }
        let captures = |call: &&CallSpec| call.captures.iter().any(|it| it.name == name);
        match self.contract.calls.iter().find(captures) {
            Some(call) if known.in_calls => format!(
                "`{name}` is captured by `{}`, which {} has not called before",
                call.name, self.who
            ),
            _ => {
                let message = format!("{} has no variable `{name}`", self.who);
                or_nearest(&message, name, &known.all(), "there are")
            }
        }
    }
}
