//! A report as one HTML page that opens from disk: no network, and little script.
//!
//! A page is what all commands have in common: the verdict, the sentence that says why, what ran where,
//! and the line that makes the same run again. What is between is the command's: a violation as a
//! drawing, a matrix, numbers. All of it reads the values that the other reports are written from.

mod chart;
mod faults;
mod load;
mod mutants;
mod page;
mod tables;
mod violation;

use std::path::PathBuf;

use maud::{Markup, html};
use rowlock_core::verdict::Verdict;

use super::Accusation;
use crate::load::measure::Course;

pub use faults::{fault_accusations, faults};
pub use load::load;
pub use mutants::mutants;
pub use tables::tables;
pub use violation::Violation;

/// One HTML page.
#[derive(Debug)]
pub struct Page {
    /// What was run: `explore one-item`.
    pub title: String,
    /// What came of it.
    pub verdict: Verdict,
    /// Why, in a sentence or two, where that is known.
    pub explained: Vec<String>,
    /// What is wrong or not proven; the worst first.
    pub accusations: Vec<Accusation>,
    /// The parts between the sentences and the facts, in order.
    pub sections: Vec<Section>,
    /// Where it ran and with what: a name and a value each.
    pub facts: Vec<(&'static str, String)>,
    /// The command line that makes the same run again.
    pub again: String,
    /// The file that says what is judged: a contract, as far as there is one.
    pub source: PathBuf,
    /// How much of what it was to do the run did.
    pub extent: Extent,
}

/// How much of what it was to do a run did: what it did not find may still be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// All of it, and the same the next time.
    Whole,
    /// All of it, and something else the next time, by chance.
    Sample,
    /// It ended with what it found.
    CutShort,
}

/// A part of a page.
#[derive(Debug)]
pub struct Section {
    /// Its heading.
    pub heading: String,
    /// What it says.
    pub body: Markup,
}

impl Section {
    /// A part of a page under `heading`.
    pub fn new(heading: impl Into<String>, body: Markup) -> Section {
        Section {
            heading: heading.into(),
            body,
        }
    }

    /// A list of lines; nothing where there are none.
    pub fn lines(heading: &str, lines: &[String]) -> Option<Section> {
        let body = html! { ul { @for line in lines { li { (line) } } } };
        (!lines.is_empty()).then(|| Section::new(heading, body))
    }
}

/// Where a contract is looked for first.
pub const NO_CONTRACT: &str = "rowlock.toml";

impl Page {
    /// The page of a run in several parts, each of which is a page of its own.
    pub fn joined(title: String, again: String, source: PathBuf, parts: Vec<Page>) -> Page {
        let mut joined = Page {
            title,
            verdict: Verdict::compose(parts.iter().map(|part| part.verdict)),
            explained: Vec::new(),
            accusations: Vec::new(),
            sections: Vec::new(),
            facts: Vec::new(),
            again,
            source,
            extent: parts
                .iter()
                .map(|part| part.extent)
                .max()
                .unwrap_or(Extent::Whole),
        };
        for part in parts {
            for section in part.sections {
                let heading = format!("{}: {}", part.title, section.heading);
                joined.sections.push(Section::new(heading, section.body));
            }
            joined.explained.extend(part.explained);
            joined.accusations.extend(part.accusations);
            for fact in part.facts {
                if !joined.facts.contains(&fact) {
                    joined.facts.push(fact);
                }
            }
        }
        joined
    }

    /// The whole file.
    pub fn render(&self) -> String {
        page::render(self).into_string()
    }
}

/// How a load went on, with what else is to be said of it in lines of text.
pub fn course(course: &Course, counted: &str, lines: &[String]) -> Section {
    let body = html! {
        (chart::render(course, counted))
        pre { @for line in lines { (line) "\n" } }
    };
    Section::new("In numbers", body)
}

/// A verdict's class in the style sheet.
fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "valid",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Violation => "violation",
    }
}
