//! Who calls what: actors, what they prepare, their stories, and programs of several at once.

use crate::template::{Template, ValueTemplate};

/// Somebody who calls, with a cookie jar of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The name, which templates have as `actor`.
    pub name: String,
    /// The variables; each may use those before it.
    pub variables: Vec<(String, ValueTemplate)>,
    /// What is called once, and never explored.
    pub prepare: Vec<PlannedCall>,
    /// What is explored: each is one or several calls, one after another.
    pub stories: Vec<Story>,
    /// Whether the contract says the stories; else they are each call alone that can be made alone.
    pub has_own_stories: bool,
    /// The line of the contract that it begins on; 0 for the actor of a contract that has none.
    pub line: usize,
}

/// Calls of one actor, one after another; at least one.
pub type Story = Vec<PlannedCall>;

/// A call that somebody makes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlannedCall {
    /// Its name in the contract.
    pub call: String,
    /// Variables for it alone.
    pub with: Vec<(String, ValueTemplate)>,
}

/// A variable that all actors have unless theirs says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedVariable {
    /// Its name.
    pub name: String,
    /// Its values, at least one: the first is what it is, and generated programs draw from all.
    pub values: Vec<ValueTemplate>,
}

/// Rows, and actors who call at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramSpec {
    /// Its name.
    pub name: String,
    /// SQL that makes its rows.
    pub rows: Option<Template>,
    /// Who calls; the same actor may be there more than once.
    pub participants: Vec<Participant>,
    /// The actors who must be refused alone, after the others or as the rows say.
    pub refused: Vec<String>,
    /// What happens at once.
    pub atomic: Atomic,
    /// The line of the contract that it begins on.
    pub line: usize,
}

/// An actor in a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// The actor's name.
    pub actor: String,
    /// What it calls.
    pub story: Story,
    /// Variables for this program alone.
    pub with: Vec<(String, ValueTemplate)>,
    /// A name for the idempotency key that it sends; participants with one name send one key.
    pub key: Option<String>,
}

/// What a serial order is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Atomic {
    /// Calls: those of one story may have others' between them.
    #[default]
    Call,
    /// Whole stories.
    Story,
}

impl PlannedCall {
    /// A call without variables of its own.
    pub fn of(call: &str) -> Self {
        Self {
            call: call.to_owned(),
            with: Vec::new(),
        }
    }
}
