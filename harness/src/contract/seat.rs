//! The names of a campaign's stories: an actor of a program by its letter, alone or once more.

use std::fmt;
use std::str::FromStr;

use rowlock_explorer::RequestIndex;

/// What repeats a story is called.
const REPEAT: &str = "-repeat";

/// An actor of a program whose story is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat {
    /// Whether the same story has been acknowledged under the same key before.
    pub is_repeat: bool,
    /// Which actor, from 0.
    pub actor: usize,
}

/// `A`, `B-repeat`.
impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repeat = if self.is_repeat { REPEAT } else { "" };
        write!(f, "{}{repeat}", RequestIndex(self.actor))
    }
}

impl FromStr for Seat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        /// More actors than a program has.
        const LETTERS: usize = 64;
        let (letter, is_repeat) = match name.strip_suffix(REPEAT) {
            Some(letter) => (letter, true),
            None => (name, false),
        };
        let mut actors = 0..LETTERS;
        let actor = actors.find(|actor| RequestIndex(*actor).to_string() == letter);
        let actor =
            actor.ok_or_else(|| format!("the story {name:?} is no actor's letter, as A or B"))?;
        Ok(Seat { is_repeat, actor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_reads_back_from_its_name() {
        for actor in [0, 1, 25] {
            for is_repeat in [false, true] {
                let seat = Seat { is_repeat, actor };
                assert_eq!(seat.to_string().parse(), Ok(seat));
            }
        }
        assert!("alice".parse::<Seat>().is_err());
    }
}
