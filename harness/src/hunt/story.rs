//! What one story does to the database when it is told alone.

use std::collections::BTreeSet;

use rowlock_explorer::footprint::{Access, Footprint, Mode};
use rowlock_explorer::transcript::Event;
use rowlock_explorer::{Execution, Transition, shape};
use rowlock_proxy::{Statement, Verb};

/// What a story does, step by step, as far as each step is a choice.
#[derive(Debug, Clone, Default)]
pub struct StoryTrace {
    /// The steps, in order.
    pub(super) steps: Vec<TracedStep>,
    /// Why the steps are not all that it does, where they are not.
    pub(super) gap: Option<String>,
}

/// One step.
#[derive(Debug, Clone)]
pub(super) struct TracedStep {
    /// What it can touch.
    pub(super) footprint: Footprint,
    /// What it runs, on one line and without its values.
    pub(super) sql: String,
    /// Whether it may change rows, and not only lock them.
    pub(super) writes: bool,
    /// The number of its transaction among those of the story.
    pub(super) transaction: usize,
}

impl StoryTrace {
    /// Reads the story off a run of a program of it alone.
    pub fn of(execution: &Execution) -> StoryTrace {
        let mut steps = Vec::new();
        let mut transactions = Transactions::default();
        let mut made = execution.transitions.iter();
        for event in &execution.transcript.events {
            match event {
                Event::Passed { statements, .. } => {
                    transactions.of(statements);
                }
                Event::Delivered { statements, .. } => {
                    let transaction = transactions.of(statements);
                    let Some(transition) = made.next() else { break };
                    steps.push(TracedStep::new(transition, statements, transaction));
                }
                _ => {}
            }
        }
        let gap = execution.control.lost().map(ToString::to_string);
        StoryTrace { steps, gap }
    }

    /// How many steps it has.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether it sends nothing that could meet anybody.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The tables that it is known to touch, as far as its steps can be read.
    pub(super) fn tables(&self) -> BTreeSet<&str> {
        let accesses = self.steps.iter().flat_map(TracedStep::accesses);
        accesses.map(|access| access.table.as_str()).collect()
    }
}

impl TracedStep {
    fn new(transition: &Transition, statements: &[Statement], transaction: usize) -> Self {
        let shapes: Vec<_> = statements.iter().map(|it| shape(&it.sql)).collect();
        let may_write = |statement: &Statement| {
            !matches!(
                Verb::of(&statement.sql),
                Verb::Select | Verb::Lock | Verb::Show | Verb::Set | Verb::Begin
            ) && !Verb::of(&statement.sql).ends_transaction()
        };
        TracedStep {
            footprint: transition.touched.clone(),
            sql: shapes.join("; "),
            writes: statements.iter().any(may_write) || statements.is_empty(),
            transaction,
        }
    }

    /// What it touches; nothing where that cannot be read.
    pub(super) fn accesses(&self) -> impl Iterator<Item = &Access> {
        let accesses = match &self.footprint {
            Footprint::Everything => None,
            Footprint::Rows(accesses) => Some(accesses.iter()),
        };
        accesses.into_iter().flatten()
    }

    /// Whether nobody can tell what it touches.
    pub(super) fn is_opaque(&self) -> bool {
        self.footprint == Footprint::Everything
    }

    /// The rows that it locks or writes.
    pub(super) fn locks(&self) -> impl Iterator<Item = &Access> {
        let accesses = self.accesses();
        accesses.filter(|it| matches!(it.mode, Mode::Lock | Mode::Share))
    }
}

/// Which transaction a statement belongs to: each that is in none is one of its own.
#[derive(Debug, Default)]
struct Transactions {
    begun: usize,
    is_open: bool,
}

impl Transactions {
    fn of(&mut self, statements: &[Statement]) -> usize {
        for statement in statements {
            let verb = Verb::of(&statement.sql);
            if !self.is_open {
                self.begun += 1;
            }
            match verb {
                Verb::Begin => self.is_open = true,
                verb if verb.ends_transaction() => self.is_open = false,
                _ => {}
            }
        }
        self.begun
    }
}
