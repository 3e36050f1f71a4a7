//! Cases by name: one fault, at one step of one story.

use std::fmt::{self, Debug, Display};
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::{Fault, crashes, gentle_faults};

/// A story's name.
pub trait StoryName:
    Copy + Ord + Debug + Display + FromStr<Err = String> + Send + Sync + 'static
{
}

impl<T> StoryName for T where
    T: Copy + Ord + Debug + Display + FromStr<Err = String> + Send + Sync + 'static
{
}

/// One fault at one step of one story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Case<T> {
    /// What the request does.
    pub story: T,
    /// Whether a second client, who wants the same, comes while the step is under way.
    pub rival: bool,
    /// Which of the request's steps breaks, from 1; 0 where nothing is under way.
    pub step: usize,
    /// How.
    pub fault: Fault,
}

/// The place of a step where nothing is under way.
const IDLE: &str = "idle";

impl<T: Display> Display for Case<T> {
    /// As `--case` takes it: `purchase+rival.3.drop-after`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rival = if self.rival { "+rival" } else { "" };
        write!(f, "{}{rival}.", self.story)?;
        match self.step {
            0 => f.write_str(IDLE)?,
            step => write!(f, "{step}")?,
        }
        write!(f, ".{}", self.fault)
    }
}

impl<T: Display> Serialize for Case<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<T: StoryName> FromStr for Case<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |what: &str| {
            format!("case {text:?}: {what}; expected for example purchase+rival.3.drop-after")
        };
        let [story, step, fault] = text.splitn(3, '.').collect::<Vec<_>>()[..] else {
            return Err(wrong("not of the form STORY.STEP.FAULT"));
        };
        let (story, rival) = match story.strip_suffix("+rival") {
            Some(story) => (story, true),
            None => (story, false),
        };
        let story = story.parse().map_err(|what: String| wrong(&what))?;
        let step = match step {
            IDLE => Some(0),
            step => step.parse().ok().filter(|step| *step > 0),
        };
        let step = step.ok_or_else(|| wrong("the step is no number from 1"))?;
        let mut faults = gentle_faults().into_iter().chain(crashes());
        let known = match step {
            0 => Some(Fault::TerminateConnection).filter(|known| known.to_string() == fault),
            _ => faults.find(|known| known.to_string() == fault),
        };
        if step == 0 && rival {
            return Err(wrong("nobody comes where nothing is under way"));
        }
        Ok(Case {
            story,
            rival,
            step,
            fault: known.ok_or_else(|| wrong("there is no such fault"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop::Story;

    type Case = super::Case<Story>;

    #[test]
    fn every_case_reads_back_from_its_name() {
        for fault in gentle_faults().into_iter().chain(crashes()) {
            for story in [Story::Purchase, Story::Refusal, Story::Repeat] {
                for rival in [false, true] {
                    let case = Case {
                        story,
                        rival,
                        step: 3,
                        fault,
                    };
                    assert_eq!(case.to_string().parse(), Ok(case));
                }
            }
        }
    }

    #[test]
    fn a_connection_is_terminated_where_nothing_is_under_way_and_nowhere_else() {
        let case: Case = "purchase.idle.terminate-connection".parse().unwrap();
        assert_eq!((case.step, case.fault), (0, Fault::TerminateConnection));
        assert_eq!(case.to_string(), "purchase.idle.terminate-connection");
        for wrong in [
            "purchase.3.terminate-connection",
            "purchase.idle.stall",
            "purchase+rival.idle.terminate-connection",
        ] {
            assert!(wrong.parse::<Case>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_case_that_does_not_exist_is_named() {
        let error = "purchase.2.drop-sideways".parse::<Case>().unwrap_err();
        assert!(error.contains("purchase.2.drop-sideways"), "{error}");
        assert!(error.contains("no such fault"), "{error}");
        let error = "purchase.0.stall".parse::<Case>().unwrap_err();
        assert!(error.contains("no number from 1"), "{error}");
    }
}
