//! What must hold of a number before and after a run: `after == before - 10 * ok(buy)`.
//!
//! ```text
//! all        := comparison ("and" comparison)*
//! comparison := sum (("==" | "!=" | "<=" | ">=" | "<" | ">") sum)+
//! sum        := product (("+" | "-") product)*
//! product    := unary (("*" | "/") unary)*
//! unary      := "-" unary | NUMBER | "before" | "after" | "ok" "(" CALL ")"
//!             | "unknown" "(" CALL ")" | ("min" | "max") "(" sum ("," sum)* ")" | "(" sum ")"
//! ```
//!
//! Of a call whose outcome is unknown nobody can say whether it happened. So `ok(CALL)` is any whole
//! number from the calls that were told ok to these and all that are unknown, and the expression is
//! violated only if it holds for none of them. Numbers are exact fractions.

mod evaluate;
mod number;
mod parse;
mod token;

use std::collections::BTreeMap;
use std::fmt;

pub use number::{Number, NumberError};

/// A predicate over a number before and after, and the counts of calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expression {
    text: String,
    comparisons: Vec<Comparison>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Comparison {
    left: Term,
    relation: Relation,
    right: Term,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Relation {
    Equal,
    Unequal,
    AtMost,
    AtLeast,
    Less,
    More,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Term {
    Number(Number),
    Before,
    After,
    Ok(String),
    Unknown(String),
    Negative(Box<Term>),
    Binary(Box<Term>, Operation, Box<Term>),
    Extreme(Extreme, Vec<Term>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Plus,
    Minus,
    Times,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Extreme {
    Least,
    Greatest,
}

/// What an expression is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The number before the run.
    pub before: Number,
    /// The number after the run.
    pub after: Number,
    /// The counts by the calls' names; a call that is not there was never made.
    pub counts: BTreeMap<String, Counts>,
}

/// How often a call ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many were told that it happened.
    pub ok: u32,
    /// Of how many nobody knows.
    pub unknown: u32,
}

/// Why an expression says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// A number of it is too large.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// There are more ways in which the unknown calls may have ended than are tried.
    #[error("too many calls are unknown to try all ways in which they may have ended")]
    TooManyUnknown,
}

impl Expression {
    /// Reads `text`; the error is a fragment that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::parse(text)
    }

    /// Whether it holds for some way in which the unknown calls may have ended.
    pub fn holds(&self, facts: &Facts) -> Result<bool, ExpressionError> {
        evaluate::holds(self, facts)
    }

    /// The calls that it counts, each once.
    pub fn calls(&self) -> Vec<&str> {
        let mut calls = Vec::new();
        for comparison in &self.comparisons {
            comparison.left.calls(&mut calls);
            comparison.right.calls(&mut calls);
        }
        calls.sort_unstable();
        calls.dedup();
        calls
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Term {
    fn calls<'t>(&'t self, calls: &mut Vec<&'t str>) {
        match self {
            Term::Number(_) | Term::Before | Term::After => {}
            Term::Ok(call) | Term::Unknown(call) => calls.push(call),
            Term::Negative(term) => term.calls(calls),
            Term::Binary(left, _, right) => {
                left.calls(calls);
                right.calls(calls);
            }
            Term::Extreme(_, terms) => terms.iter().for_each(|term| term.calls(calls)),
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
