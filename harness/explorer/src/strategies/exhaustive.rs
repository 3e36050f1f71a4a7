//! Every schedule, without reduction: the measure of what reduction may leave out.

use super::enumeration::{Enumeration, deliveries};
use crate::execution::Execution;
use crate::strategy::{Next, Strategy};

/// Brute force.
#[derive(Debug)]
pub struct Exhaustive(Enumeration);

impl Default for Exhaustive {
    fn default() -> Self {
        Exhaustive(Enumeration::new(|point, _| deliveries(point), 0))
    }
}

impl Strategy for Exhaustive {
    fn next(&mut self) -> Next {
        self.0.next()
    }

    fn observe(&mut self, execution: &Execution) {
        self.0.observe(execution);
    }

    fn incomplete(&self) -> Vec<String> {
        self.0.incomplete()
    }
}
