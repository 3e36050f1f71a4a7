//! Strategies: which schedules to run.
//!
//! A [`Strategy`] hands out one [`Chooser`] per run, which may run at the same time as others; what
//! ran comes back in the order in which the choosers were handed out, however long each took,
//! so the search is the same at every speed.

use super::execution::{Execution, Transition};
use super::footprint::Footprint;
use super::schedule::{Choice, RequestIndex, Schedule};

/// Decides which schedules are run.
pub trait Strategy: Send {
    /// The chooser of the next run.
    fn next(&mut self) -> Next;

    /// Learns what ran; called once for each chooser, in the order of [`Self::next`].
    fn observe(&mut self, execution: &Execution);

    /// Learns from a run that another strategy wanted, if it likes.
    fn overhear(&mut self, _execution: &Execution) {}

    /// Branches that were left out because what follows them is equivalent to what ran.
    fn pruned(&self) -> u64 {
        0
    }

    /// What the strategy was to cover and could not, and why.
    fn incomplete(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What a strategy wants.
pub enum Next {
    /// This run.
    Run(Box<dyn Chooser>),
    /// What ran first, before it can say more.
    Wait,
    /// Nothing more, once the runs under way bring nothing new.
    Exhausted,
}

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Next::Run(_) => "Run",
            Next::Wait => "Wait",
            Next::Exhausted => "Exhausted",
        })
    }
}

/// Makes the choices of one run.
pub trait Chooser: Send {
    /// The next choice; its requests must be among `point.enabled`.
    fn choose(&mut self, point: &Point<'_>) -> Choice;
}

/// A moment at which something can be chosen.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    /// The choices before this one.
    pub before: &'a [Choice],
    /// The same, with what came of them.
    pub transitions: &'a [Transition],
    /// The requests whose steps are held, in ascending order, and what their steps can touch.
    pub enabled: &'a [(RequestIndex, Footprint)],
}

impl Point<'_> {
    /// Whether `request` has a step to deliver.
    pub fn can(&self, request: RequestIndex) -> bool {
        self.enabled.iter().any(|(other, _)| *other == request)
    }

    /// The request that went last, if it can go on, else the first that can.
    pub fn nonpreemptive(&self) -> RequestIndex {
        let last = self
            .before
            .last()
            .and_then(|choice| choice.requests().last());
        last.filter(|last| self.can(*last))
            .unwrap_or_else(|| self.enabled[0].0)
    }
}

/// Follows a schedule, and after its end lets whoever runs go on.
#[derive(Debug, Clone, Default)]
pub struct Follow(pub Schedule);

impl Chooser for Follow {
    fn choose(&mut self, point: &Point<'_>) -> Choice {
        let given = self.0.0.get(point.before.len()).copied();
        given.unwrap_or_else(|| Choice::Deliver(point.nonpreemptive()))
    }
}
