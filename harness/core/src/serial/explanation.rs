//! Whether serial orders explain a run, and which.

use super::difference::Nearest;
use super::order::{CallIndex, Order};
use super::run::Told;

/// Whether serial orders explain a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explanation {
    /// One does.
    Explained(Explained),
    /// None does, but one would if some refused calls were taken to have given way.
    UnexplainedRefusal(UnexplainedRefusal),
    /// None does.
    Unexplained(Nearest),
    /// None of those that are known does, and these could: they are to be run first.
    Missing(Vec<Order>),
}

/// The order that explains a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The order; of several, one that leaves out the fewest calls.
    pub order: Order,
    /// The calls that it leaves out.
    pub left_out: Vec<CallIndex>,
    /// The calls whose bodies are others in each order that explains the run.
    pub other_bodies: Vec<CallIndex>,
    /// How many calls gave way that a known serial order serves where they all are told the same;
    /// a number for the report, and no accusation.
    pub needlessly_gave_way: usize,
}

/// Calls that no serial order refuses so, where the rows are those of an order without them. Either
/// the rule that refuses looked at rows in between, or the service gives way by design and its
/// contract does not know this answer for a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnexplainedRefusal {
    /// The order whose rows and other answers are the run's; it leaves out the fewest refused calls.
    pub order: Order,
    /// The refused calls that it leaves out, with what the run told them.
    pub refused: Vec<(CallIndex, Told)>,
    /// What known serial orders of all calls tell the first of them, each answer once.
    pub instead: Vec<String>,
}
