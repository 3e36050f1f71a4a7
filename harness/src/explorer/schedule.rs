//! Schedules: the choices that make an interleaving, and nothing else.
//!
//! A schedule is input. Whoever has the same target, the same program and the same schedule gets
//! the same interleaving, so this is what a witness keeps.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Numbers a program's requests from 0; shown as a letter.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct RequestIndex(pub usize);

impl fmt::Display for RequestIndex {
    /// `A` to `Z`, then `A1` to `Z1`, and so on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = char::from(b'A' + (self.0 % 26) as u8);
        match self.0 / 26 {
            0 => f.pad(&letter.to_string()),
            round => f.pad(&format!("{letter}{round}")),
        }
    }
}

/// One choice: whose held step reaches the server next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// This request's held step, alone; the next choice comes when its reply is complete or it
    /// waits for a lock.
    Deliver(RequestIndex),
    /// The held steps of two requests, the second before the first is answered.
    Together(RequestIndex, RequestIndex),
}

impl Choice {
    /// The requests whose steps are delivered.
    pub fn requests(self) -> impl Iterator<Item = RequestIndex> {
        let (first, second) = match self {
            Choice::Deliver(request) => (request, None),
            Choice::Together(first, second) => (first, Some(second)),
        };
        std::iter::once(first).chain(second)
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Deliver(request) => request.fmt(f),
            Choice::Together(first, second) => write!(f, "({first}{second})"),
        }
    }
}

/// The choices of one run, in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Schedule(pub Vec<Choice>);

impl Schedule {
    /// How often a request that could have gone on was left for another one, given at each
    /// choice which requests could go on.
    pub fn preemptions<'a>(&self, enabled: impl IntoIterator<Item = &'a [RequestIndex]>) -> usize {
        let pairs = self.0.windows(2).zip(enabled.into_iter().skip(1));
        pairs
            .filter(|(pair, enabled)| {
                let last = pair[0].requests().last();
                let goes_on = pair[1].requests().next() == last;
                !goes_on && last.is_some_and(|last| enabled.contains(&last))
            })
            .count()
    }

    /// How many steps it delivers up to its first two at once; nothing where it has none.
    pub fn steps_to_pair(&self) -> Option<usize> {
        let is_pair = |choice: &Choice| matches!(choice, Choice::Together(..));
        self.0.iter().position(is_pair).map(|at| at + 2)
    }
}

impl fmt::Display for Schedule {
    /// A letter for each choice, such as `AABB`; two together in parentheses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|choice| choice.fmt(f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str) -> Schedule {
        let letters = text.bytes();
        Schedule(
            letters
                .map(|letter| Choice::Deliver(RequestIndex(usize::from(letter - b'A'))))
                .collect(),
        )
    }

    #[test]
    fn a_schedule_is_written_as_its_letters() {
        assert_eq!(schedule("AABBA").to_string(), "AABBA");
        let both = Schedule(vec![Choice::Together(RequestIndex(1), RequestIndex(0))]);
        assert_eq!(both.to_string(), "(BA)");
        assert_eq!(RequestIndex(27).to_string(), "B1");
    }

    #[test]
    fn a_switch_counts_as_a_preemption_only_where_the_request_could_go_on() {
        let both = [RequestIndex(0), RequestIndex(1)];
        let only_b = [RequestIndex(1)];
        let count = |text, enabled: [&[RequestIndex]; 4]| schedule(text).preemptions(enabled);
        assert_eq!(count("AABB", [&both, &both, &only_b, &only_b]), 0);
        assert_eq!(count("ABBA", [&both, &both, &both, &both]), 2);
    }

    #[test]
    fn a_pair_is_reached_with_the_steps_before_it_and_its_own_two() {
        let mut pair = schedule("ABA");
        assert_eq!(pair.steps_to_pair(), None);
        pair.0
            .push(Choice::Together(RequestIndex(0), RequestIndex(1)));
        pair.0.push(Choice::Deliver(RequestIndex(0)));
        assert_eq!(pair.steps_to_pair(), Some(5));
    }

    #[test]
    fn a_schedule_reads_back_from_its_json() {
        let both = Schedule(vec![
            Choice::Deliver(RequestIndex(0)),
            Choice::Together(RequestIndex(1), RequestIndex(0)),
        ]);
        let json = serde_json::to_string(&both).unwrap();
        assert_eq!(json, r#"[{"deliver":0},{"together":[1,0]}]"#);
        assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), both);
    }
}
