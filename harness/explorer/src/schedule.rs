//! Schedules: the choices that make an interleaving, and nothing else.
//!
//! A schedule is input. Whoever has the same target, the same program and the same schedule gets
//! the same interleaving, so this is what a witness keeps.

use std::fmt;
use std::iter::Peekable;
use std::str::{Chars, FromStr};

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

/// Why a text is no schedule. Characters count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// There is no choice in it.
    #[error("an empty schedule chooses nothing")]
    Empty,
    /// A request was expected, and this came.
    #[error("{found} at character {place} is no request; requests are A to Z, then A1 to Z1")]
    NoRequest {
        /// The character.
        place: usize,
        /// What is there, or that the text ends there.
        found: String,
    },
    /// Two steps at once are two requests in parentheses.
    #[error("the pair that begins at character {place} is not two requests, as in (AB)")]
    NoPair {
        /// The opening parenthesis.
        place: usize,
    },
    /// A request has one step at a time.
    #[error("the pair that begins at character {place} is {request} twice")]
    SameTwice {
        /// The opening parenthesis.
        place: usize,
        /// Which.
        request: RequestIndex,
    },
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Schedule, ScheduleError> {
        let mut reader = Reader {
            left: text.chars().peekable(),
            place: 1,
        };
        let mut choices = Vec::new();
        while reader.left.peek().is_some() {
            choices.push(reader.choice()?);
        }
        match choices.is_empty() {
            true => Err(ScheduleError::Empty),
            false => Ok(Schedule(choices)),
        }
    }
}

struct Reader<'a> {
    left: Peekable<Chars<'a>>,
    /// Of the next character.
    place: usize,
}

impl Reader<'_> {
    fn choice(&mut self) -> Result<Choice, ScheduleError> {
        let place = self.place;
        if self.next_if(|c| c == '(').is_none() {
            return Ok(Choice::Deliver(self.request()?));
        }
        let (first, second) = (self.request()?, self.request()?);
        if self.next_if(|c| c == ')').is_none() {
            return Err(ScheduleError::NoPair { place });
        }
        match first == second {
            true => Err(ScheduleError::SameTwice {
                place,
                request: first,
            }),
            false => Ok(Choice::Together(first, second)),
        }
    }

    /// A letter, and the number of the round where it is not the first.
    fn request(&mut self) -> Result<RequestIndex, ScheduleError> {
        let place = self.place;
        let found = match self.left.peek() {
            Some(found) => format!("{found:?}"),
            None => "the end".to_owned(),
        };
        let unread = ScheduleError::NoRequest { place, found };
        let Some(letter) = self.next_if(|c| c.is_ascii_uppercase()) else {
            return Err(unread);
        };
        let mut round = String::new();
        while let Some(digit) = self.next_if(|c| c.is_ascii_digit()) {
            round.push(digit);
        }
        let round = match round.as_str() {
            "" => 0,
            digits if digits.starts_with('0') => return Err(unread),
            digits => digits.parse::<u16>().map_err(|_| unread)?,
        };
        let letter = letter as usize - 'A' as usize;
        Ok(RequestIndex(26 * usize::from(round) + letter))
    }

    fn next_if(&mut self, is: impl Fn(char) -> bool) -> Option<char> {
        let next = self.left.next_if(|c| is(*c))?;
        self.place += 1;
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str) -> Schedule {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["A", "AABBA", "A(BA)B", "AB1(Z2A)C"] {
            assert_eq!(schedule(text).to_string(), text);
        }
        let pair = Choice::Together(RequestIndex(27), RequestIndex(0));
        assert_eq!(schedule("(B1A)"), Schedule(vec![pair]));
    }

    #[test]
    fn a_text_that_is_no_schedule_is_refused_with_the_place_that_is_wrong() {
        for (text, error) in [
            ("", "an empty schedule chooses nothing"),
            (
                "ABx",
                "'x' at character 3 is no request; requests are A to Z, then A1 to Z1",
            ),
            (
                "A(B",
                "the end at character 4 is no request; requests are A to Z, then A1 to Z1",
            ),
            (
                "A(BCD)",
                "the pair that begins at character 2 is not two requests, as in (AB)",
            ),
            ("A(BB)", "the pair that begins at character 2 is B twice"),
            (
                "B01",
                "'B' at character 1 is no request; requests are A to Z, then A1 to Z1",
            ),
        ] {
            let refused = text.parse::<Schedule>().unwrap_err();
            assert_eq!(refused.to_string(), error, "{text}");
        }
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
