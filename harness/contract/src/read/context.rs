//! What is noted while a file is read: mistakes, where each key stands, and names that must lead
//! somewhere.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::nearest::or_nearest;
use crate::error::Problem;
use crate::variables::Variables;

/// Notes on one file.
#[derive(Debug)]
pub(super) struct Context<'t> {
    text: &'t str,
    /// The environment that the contract is to be used in, if it is known; then files are looked for, too.
    pub(super) outside: Option<&'t Variables>,
    problems: RefCell<Vec<Problem>>,
    places: RefCell<BTreeMap<String, usize>>,
    references: RefCell<Vec<Reference>>,
}

/// A name that must be one of a call or an actor.
#[derive(Debug)]
struct Reference {
    to: Referent,
    name: String,
    key: String,
}

/// What a name can lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Referent {
    Call,
    Actor,
}

impl<'t> Context<'t> {
    pub(super) fn new(text: &'t str, outside: Option<&'t Variables>) -> Self {
        Self {
            text,
            outside,
            problems: RefCell::default(),
            places: RefCell::default(),
            references: RefCell::default(),
        }
    }

    /// The line of a place in the text, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        before.filter(|byte| **byte == b'\n').count() + 1
    }

    /// Notes where a key's value stands.
    pub(super) fn stands(&self, key: &str, offset: usize) {
        self.places.borrow_mut().insert(key.to_owned(), offset);
    }

    /// Notes a mistake.
    pub(super) fn wrong(&self, offset: usize, key: &str, message: impl Into<String>) {
        let problem = Problem {
            line: self.line(offset),
            key: key.to_owned(),
            message: message.into(),
        };
        let mut problems = self.problems.borrow_mut();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    /// Notes a mistake where that key stands, or the nearest one that it is in.
    pub(super) fn wrong_at(&self, key: &str, message: impl Into<String>) {
        let places = self.places.borrow();
        let mut known = key;
        let offset = loop {
            if let Some(offset) = places.get(known) {
                break *offset;
            }
            match known.rfind(['.', '[']) {
                Some(end) => known = &known[..end],
                None => break 0,
            }
        };
        self.wrong(offset, key, message);
    }

    /// Whether that key is in the file.
    pub(super) fn has(&self, key: &str) -> bool {
        self.places.borrow().contains_key(key)
    }

    /// Notes a name that must lead somewhere.
    pub(super) fn refers(&self, to: Referent, name: &str, key: &str) {
        let (name, key) = (name.to_owned(), key.to_owned());
        self.references
            .borrow_mut()
            .push(Reference { to, name, key });
    }

    /// Notes each name that leads nowhere.
    pub(super) fn resolve(&self, to: Referent, names: &[&str]) {
        let references = self.references.take();
        for reference in references.iter().filter(|it| it.to == to) {
            if !names.contains(&reference.name.as_str()) {
                let what = match to {
                    Referent::Call => "call",
                    Referent::Actor => "actor",
                };
                let message = format!("no {what} `{}`", reference.name);
                let message = or_nearest(&message, &reference.name, names, "there are");
                self.wrong_at(&reference.key, message);
            }
        }
        self.references.replace(references);
    }

    /// The mistakes in the order of the file.
    pub(super) fn problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        problems
    }

    pub(super) fn is_right_so_far(&self) -> bool {
        self.count() == 0
    }

    /// How many mistakes there are so far.
    pub(super) fn count(&self) -> usize {
        self.problems.borrow().len()
    }
}
