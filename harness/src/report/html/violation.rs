//! A run as a drawing with its steps beside it, and the rows before and after.

mod lanes;
mod steps;

use maud::{Markup, html};
use rowlock_core::program::Program;
use rowlock_core::rows::Rows;
use rowlock_core::verdict::Verdict;
use rowlock_explorer::timeline;
use rowlock_explorer::timeline::drawing::Drawing;
use rowlock_explorer::witness::Violated;

use super::tables;
use crate::explorer::Witness;
use crate::report::{Accusation, Fingerprint};

/// A run that is shown, most often as evidence of a violation.
#[derive(Debug, Clone)]
pub struct Violation {
    /// What is violated; empty where nothing is.
    pub accusations: Vec<Accusation>,
    /// Why, as far as the statements tell.
    pub explained: Vec<String>,
    /// Every place that the violated checks name.
    places: Vec<String>,
    drawing: Drawing,
    before: (String, Option<Rows>),
    after: (String, Rows),
    schedule: String,
    /// What else there is to say, a name and a value each: how it was shrunk, how it replays.
    pub notes: Vec<(String, String)>,
}

impl Violation {
    /// What `witness` shows.
    pub fn of<P: Program>(witness: &Witness<P>) -> Violation {
        let violated = witness.violated.iter();
        let shapes = witness.shapes();
        let accusation = |violated: &Violated| Accusation {
            check: violated.name.clone(),
            sentence: violated.place(),
            verdict: Verdict::Violation,
            fingerprint: Fingerprint::of(&violated.name, shapes.iter().map(String::as_str)),
        };
        let explained = match witness.violated.is_empty() {
            true => Vec::new(),
            false => timeline::explain(witness),
        };
        Violation {
            accusations: violated.clone().map(accusation).collect(),
            explained: explained.into_iter().map(|it| it.sentence).collect(),
            places: violated.flat_map(|one| one.places.clone()).collect(),
            drawing: Drawing::of(witness),
            before: (
                witness.program.describe_initial(),
                witness.program.initial_tables(),
            ),
            after: (P::describe_rows(&witness.rows), P::tables(&witness.rows)),
            schedule: witness.schedule.to_string(),
            notes: Vec::new(),
        }
    }

    /// The drawing, its steps, and the rows; `id` tells it from others on the page.
    pub fn render(&self, id: &str) -> Markup {
        html! {
            div.witness id=(id) {
                div.run {
                    div.drawing tabindex="0" role="region" aria-label="The drawing" {
                        (lanes::render(&self.drawing, id))
                    }
                    (steps::render(&self.drawing, id))
                }
                (lanes::legend())
                div.sides {
                    div {
                        h3 { "Rows before" }
                        @match &self.before {
                            (_, Some(rows)) => (tables(rows, &[], None)),
                            (sentence, None) => p { (sentence) },
                        }
                    }
                    div {
                        h3 { "Rows after" }
                        @if self.after.1.0.is_empty() { p { (self.after.0) } }
                        @else { (tables(&self.after.1, &self.places, self.before.1.as_ref())) }
                    }
                }
                dl.facts {
                    dt { "schedule" } dd { code { (self.schedule) } }
                    @for (name, value) in &self.notes { dt { (name) } dd { (value) } }
                }
            }
        }
    }
}
