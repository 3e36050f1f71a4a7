//! Which answers must come, and whether they did.
//!
//! Simultaneous requests are judged by the count of each answer, requests that follow one another
//! one by one. A refusal without a reason that we know may stand for any refusal that is
//! expected; which one it was is not checked.

use std::collections::BTreeMap;
use std::fmt;

use rowlock_core::answer::Unknown;
use rowlock_core::finding::Finding;
use rowlock_shop::history::{Completion, Operation, Refusal};

/// An answer that a scenario expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    Ok,
    InsufficientBalance,
    OutOfStock,
    UnknownItem,
    UnknownUser,
}

/// How many of each answer must come.
pub(super) type Expected = BTreeMap<Answer, usize>;

/// An answer that came.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Came {
    Expected(Answer),
    /// Refused for a reason that is not known.
    Refused(String),
    /// No scenario expects it.
    Other(String),
}

impl Came {
    fn of(operation: &Operation) -> Came {
        let other = |word: &str| Came::Other(word.to_owned());
        match &operation.completion {
            Completion::Ok(_) => Came::Expected(Answer::Ok),
            Completion::Fail(refusal) => match refusal {
                Refusal::OutOfStock => Came::Expected(Answer::OutOfStock),
                Refusal::InsufficientBalance => Came::Expected(Answer::InsufficientBalance),
                Refusal::UnknownItem => Came::Expected(Answer::UnknownItem),
                Refusal::UnknownUser => Came::Expected(Answer::UnknownUser),
                Refusal::Unstated(what) => Came::Refused(what.clone()),
                Refusal::Conflict => other("conflict"),
                Refusal::KeyReused => other("key_reused"),
                Refusal::Busy => other("busy"),
                Refusal::NotSent => other("not_sent"),
                Refusal::Other(what) => other(what),
            },
            Completion::Info(unknown) => match unknown {
                Unknown::ServerError => other("server_error"),
                Unknown::ConnectionLost => other("connection_lost"),
                Unknown::TimedOut => other("timed_out"),
                Unknown::HungUp => other("hung_up"),
            },
        }
    }

    /// Whether it is what was expected, as far as it says what it is.
    fn can_be(&self, expected: Answer) -> bool {
        match self {
            Came::Expected(answer) => *answer == expected,
            Came::Refused(_) => expected != Answer::Ok,
            Came::Other(_) => false,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Answer::Ok => "ok",
            Answer::InsufficientBalance => "insufficient_balance",
            Answer::OutOfStock => "out_of_stock",
            Answer::UnknownItem => "unknown_item",
            Answer::UnknownUser => "unknown_user",
        })
    }
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Came::Expected(answer) => answer.fmt(f),
            Came::Refused(what) => write!(f, "refused ({what})"),
            Came::Other(what) => f.write_str(what),
        }
    }
}

/// Whether each history has exactly the expected number of each answer.
pub(super) fn judge_counts(played: &[(String, &Expected, &[Operation])]) -> Finding {
    let judge = |(name, expected, history): &(String, &Expected, &[Operation])| {
        let mut counts: BTreeMap<Came, usize> = BTreeMap::new();
        for operation in *history {
            *counts.entry(Came::of(operation)).or_default() += 1;
        }
        let expected = expected.iter().filter(|(_, count)| **count > 0);
        let expected: Expected = expected.map(|(answer, count)| (*answer, *count)).collect();
        (!agree(&expected, &counts)).then(|| {
            let (expected, counts) = (words(&expected), words(&counts));
            format!("{name}: expected {expected}, got {counts}")
        })
    };
    Finding::new(
        "expected-answers",
        "simultaneous requests get exactly the answers that stock and balance allow",
        played.iter().filter_map(judge).collect(),
    )
}

/// Whether as many answers as expected came, none more often than it should, and for each that
/// came less often a refusal that may have meant it.
fn agree(expected: &Expected, counts: &BTreeMap<Came, usize>) -> bool {
    let sum = |counts: &mut dyn Iterator<Item = usize>| counts.sum::<usize>();
    let is_in_bounds = |(came, count): (&Came, &usize)| match came {
        Came::Expected(answer) => expected.get(answer).is_some_and(|most| count <= most),
        Came::Refused(_) => true,
        Came::Other(_) => false,
    };
    let bought = |answer: &Answer| *answer == Answer::Ok;
    let most_refused = sum(&mut expected
        .iter()
        .filter(|(it, _)| !bought(it))
        .map(|(_, n)| *n));
    let refused = counts.iter().filter(|(came, _)| match came {
        Came::Expected(answer) => !bought(answer),
        Came::Refused(_) => true,
        Came::Other(_) => false,
    });
    counts.iter().all(is_in_bounds)
        && sum(&mut refused.map(|(_, n)| *n)) <= most_refused
        && sum(&mut counts.values().copied()) == sum(&mut expected.values().copied())
}

/// Whether each history has exactly the expected answers, in order.
pub(super) fn judge_sequences(played: &[(String, &[Answer], &[Operation])]) -> Finding {
    let judge = |(name, expected, history): &(String, &[Answer], &[Operation])| {
        let answers: Vec<_> = history.iter().map(Came::of).collect();
        let agree = answers.len() == expected.len()
            && (answers.iter().zip(*expected)).all(|(came, expected)| came.can_be(*expected));
        (!agree).then(|| {
            let (expected, answers) = (list(expected), list(&answers));
            format!("{name}: expected {expected}, got {answers}")
        })
    };
    Finding::new(
        "expected-answers-in-turn",
        "requests that follow one another get exactly the answers of a sequential shop",
        played.iter().filter_map(judge).collect(),
    )
}

fn words(counts: &BTreeMap<impl fmt::Display, usize>) -> String {
    let words: Vec<_> = counts
        .iter()
        .map(|(answer, count)| format!("{count} {answer}"))
        .collect();
    words.join(" + ")
}

fn list(answers: &[impl fmt::Display]) -> String {
    let answers: Vec<_> = answers.iter().map(ToString::to_string).collect();
    answers.join(", ")
}

#[cfg(test)]
mod tests;
