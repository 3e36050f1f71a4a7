//! Which answers must come, and whether they did.
//!
//! Simultaneous requests are judged by the count of each answer, requests that follow one another
//! one by one. A refusal without a reason that we know may stand for any refusal that is
//! expected; which one it was is not checked. Where some requests gave way (409), and the target
//! has not promised to try again, the counts become bounds: none of the answers more often than
//! without them, and whoever was refused was refused only after all had been sold that could be.

use std::collections::BTreeMap;
use std::fmt;

use crate::target::OnConflict;
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
    /// Gave way to others (409).
    GaveWay,
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
                Refusal::Conflict => Came::GaveWay,
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

    /// Whether it is what was expected of a request that met nobody, as far as it says what it
    /// is. There is nobody to give way to: a 409 is then a refusal.
    fn can_be(&self, expected: Answer, on_conflict: OnConflict) -> bool {
        match self {
            Came::Expected(answer) => *answer == expected,
            Came::Refused(_) => expected != Answer::Ok,
            Came::GaveWay => on_conflict == OnConflict::GivesWay && expected != Answer::Ok,
            Came::Other(_) => false,
        }
    }

    fn is_refusal(&self) -> bool {
        match self {
            Came::Expected(answer) => *answer != Answer::Ok,
            Came::Refused(_) => true,
            Came::GaveWay | Came::Other(_) => false,
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
            Came::GaveWay => f.write_str("conflict"),
            Came::Other(what) => f.write_str(what),
        }
    }
}

/// Simultaneous requests with their name, how many of each answer must come, and what came.
pub(super) type Rush<'a> = (String, &'a Expected, &'a [Operation]);

/// Requests one after another with their name, the answers that must come, and what came.
pub(super) type Queue<'a> = (String, &'a [Answer], &'a [Operation]);

/// Whether each history has the expected number of each answer.
pub(super) fn judge_counts(played: &[Rush<'_>], on_conflict: OnConflict) -> Finding {
    let judge = |(name, expected, history): &Rush<'_>| {
        let mut counts: BTreeMap<Came, usize> = BTreeMap::new();
        for operation in *history {
            *counts.entry(Came::of(operation)).or_default() += 1;
        }
        let expected = expected.iter().filter(|(_, count)| **count > 0);
        let expected: Expected = expected.map(|(answer, count)| (*answer, *count)).collect();
        let bounds = Bounds {
            expected: &expected,
            gives_way: on_conflict == OnConflict::GivesWay,
            are_keyed: history.iter().any(|it| it.request.key.is_some()),
        };
        bounds.differ(&counts).map(|why| {
            let (expected, counts) = (words(&expected), words(&counts));
            format!("{name}: expected {expected}, got {counts}{why}")
        })
    };
    Finding::new(
        "expected-answers",
        "simultaneous requests get exactly the answers that stock and balance allow, but for those that give way",
        played.iter().filter_map(judge).collect(),
    )
}

/// What the counts of answers are held to.
struct Bounds<'a> {
    expected: &'a Expected,
    /// Whether requests may give way to others.
    gives_way: bool,
    /// Whether a request may repeat the purchase of another, and so be acknowledged without one.
    are_keyed: bool,
}

impl Bounds<'_> {
    /// In what `counts` are not right, if they are not.
    ///
    /// There are as many requests as expected answers. So where no answer comes more often than
    /// it should, and none that is not expected, each comes exactly as often. Where `n` gave way,
    /// up to `n` are missing.
    fn differ(&self, counts: &BTreeMap<Came, usize>) -> Option<&'static str> {
        let count = |is_counted: &dyn Fn(&Came) -> bool| {
            let counted = counts.iter().filter(|(came, _)| is_counted(came));
            counted.map(|(_, count)| count).sum::<usize>()
        };
        let is_allowed = |(came, count): (&Came, &usize)| match came {
            Came::Expected(answer) => self.expected.get(answer).is_some_and(|most| count <= most),
            Came::Refused(_) => true,
            Came::GaveWay => self.gives_way,
            Came::Other(_) => false,
        };
        let for_sale = self.expected.get(&Answer::Ok).copied().unwrap_or(0);
        let requests: usize = self.expected.values().sum();
        let refused = count(&Came::is_refusal);
        let is_right = counts.iter().all(is_allowed)
            && refused <= requests - for_sale
            && count(&|_| true) == requests;
        if !is_right {
            return Some("");
        }
        let bought = count(&|came| *came == Came::Expected(Answer::Ok));
        let are_early = !self.are_keyed && refused > 0 && bought < for_sale;
        are_early.then_some(": refused although not all was sold that could be")
    }
}

/// Whether each history has exactly the expected answers, in order.
pub(super) fn judge_sequences(played: &[Queue<'_>], on_conflict: OnConflict) -> Finding {
    let judge = |(name, expected, history): &Queue<'_>| {
        let answers: Vec<_> = history.iter().map(Came::of).collect();
        let mut pairs = answers.iter().zip(*expected);
        let agree = answers.len() == expected.len()
            && pairs.all(|(came, expected)| came.can_be(*expected, on_conflict));
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
