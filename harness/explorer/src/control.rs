//! Whether the harness decided about every step of a run, and if not, why.
//!
//! The reasons are told apart by the code that repeats runs, and shown to people; what they say is
//! here and nowhere else.

use std::fmt;
use std::time::Duration;

use super::schedule::RequestIndex;

/// Whether the harness decided about every step of the requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Control {
    /// It did.
    #[default]
    Kept,
    /// It did not, and why; the run proves nothing, though a violation in it is one.
    Lost(LostControl),
}

impl Control {
    /// Whether it did.
    pub fn is_kept(&self) -> bool {
        *self == Control::Kept
    }

    /// Why it did not, if so.
    pub fn lost(&self) -> Option<&LostControl> {
        match self {
            Control::Kept => None,
            Control::Lost(why) => Some(why),
        }
    }
}

/// Why a run could not go on under control. Steps are given by their SQL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LostControl {
    /// Of several requests that waited for one row, a later one got it first. PostgreSQL wakes
    /// them in the order in which they came; then they race for the row's new version, and whoever
    /// the operating system holds up loses its place. Such a run is to be made again.
    Overtaken,
    /// The schedule's choice `number`, from 1, names a request that had no step to deliver.
    NotEnabled {
        /// Which choice, from 1.
        number: usize,
        /// The request that it names.
        request: RequestIndex,
        /// Why there was no step.
        because: Disabled,
    },
    /// The run made as many choices as it may, and did not end.
    TooManyChoices(usize),
    /// A request was answered while this step of it was held or under way.
    AnsweredBefore {
        /// Whose step.
        request: RequestIndex,
        /// The step.
        step: String,
    },
    /// A request sent this step while another of its steps was held or under way, or after its end.
    AnotherStep {
        /// Whose step.
        request: RequestIndex,
        /// The step.
        step: String,
    },
    /// A request sent what was passed before as a step of no request.
    RanUncontrolled {
        /// Whose step.
        request: RequestIndex,
        /// The step.
        step: String,
    },
    /// No request can have sent this step, which some request sends.
    NoSender(String),
    /// The connection broke while this step was under way.
    Cut {
        /// Whose step.
        request: RequestIndex,
        /// The step.
        step: String,
    },
    /// A request closed its connection while a statement was under way on it.
    GaveUp(RequestIndex),
    /// This server process was still there long after its client had gone.
    OutlivedItsClient(i32),
    /// Delivered steps that neither were answered nor wait for a request, after this time.
    Unsettled(Duration, Vec<Unsettled>),
    /// Requests that wait inside the application, and did not go on within this time.
    Silent(Duration, Vec<RequestIndex>),
    /// Every request waits for a lock, and not in a circle.
    AllWait,
    /// Server processes wait in a circle that no request is part of.
    ForeignDeadlock,
    /// After the run the target did no longer do what it did alone before it, in words.
    NoLonger(String),
    /// The statement that was cancelled to break a deadlock went on.
    NotCancelled,
    /// The proxy's gate is gone.
    GateGone,
}

/// Why a request had no step to deliver.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disabled {
    /// The program has no such request.
    NoSuchRequest,
    /// Its last step waits for locks of these requests; of others where none is named.
    WaitsForLock(Vec<RequestIndex>),
    /// It waits inside the application.
    Stalled,
    /// It was answered.
    Answered,
}

/// A delivered step that did not settle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unsettled {
    /// It waits for these server processes, which are no request's.
    WaitsForOthers(RequestIndex, Vec<i32>),
    /// It neither was answered nor waits for a lock.
    Runs(RequestIndex),
}

/// What may be behind a step that cannot have been where it was.
const HINT: &str = "Does a request send several statements at once, or does a job of the target \
                    run beside the requests?";

impl fmt::Display for LostControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use LostControl::*;
        match self {
            Overtaken => f.write_str("PostgreSQL served a later waiter before an earlier one"),
            NotEnabled {
                number,
                request,
                because,
            } => write!(
                f,
                "the schedule's choice {number} is {request}, which {because}"
            ),
            TooManyChoices(most) => write!(f, "the run made {most} choices and did not end"),
            AnsweredBefore { request, step } => {
                write!(f, "{request} was answered before: {step}. {HINT}")
            }
            AnotherStep { request, step } => {
                write!(f, "{request} has another step beside: {step}. {HINT}")
            }
            RanUncontrolled { request, step } => {
                write!(f, "{request} runs what ran uncontrolled: {step}. {HINT}")
            }
            NoSender(step) => write!(f, "no request can have sent: {step}. {HINT}"),
            Cut { request, step } => {
                write!(f, "the connection of {request} was cut during: {step}")
            }
            GaveUp(request) => write!(f, "{request} gave up a statement that was under way"),
            OutlivedItsClient(pid) => write!(f, "session {pid} outlived its client"),
            Unsettled(bound, steps) => {
                write!(f, "after {} s: {}", bound.as_secs(), listed(steps, "; "))
            }
            Silent(bound, requests) => {
                let (names, seconds) = (listed(requests, ", "), bound.as_secs());
                write!(f, "no answer and no step of {names} within {seconds} s")
            }
            AllWait => f.write_str("all requests wait, and not for each other"),
            NoLonger(what) => f.write_str(what),
            ForeignDeadlock => f.write_str("a circle of waits in which no request is"),
            NotCancelled => f.write_str("a cancelled statement did not end"),
            GateGone => f.write_str("the gate is gone"),
        }
    }
}

impl fmt::Display for Disabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Disabled::NoSuchRequest => return f.write_str("the program does not have"),
            Disabled::WaitsForLock(by) if by.is_empty() => f.write_str("waits for a lock")?,
            Disabled::WaitsForLock(by) => write!(f, "waits for {}", listed(by, ", "))?,
            Disabled::Stalled => f.write_str("waits inside the service")?,
            Disabled::Answered => f.write_str("was answered")?,
        }
        f.write_str(" and has no step to deliver")
    }
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsettled::WaitsForOthers(request, pids) => {
                let pids: Vec<_> = pids.iter().map(ToString::to_string).collect();
                let pids = pids.join(", ");
                write!(
                    f,
                    "{request} waits for sessions {pids}, which are no request's"
                )
            }
            Unsettled::Runs(request) => {
                write!(f, "{request} neither was answered nor waits for a lock")
            }
        }
    }
}

fn listed(parts: &[impl ToString], between: &str) -> String {
    let parts: Vec<_> = parts.iter().map(ToString::to_string).collect();
    parts.join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_a_sentence_of_its_own() {
        let (a, b) = (RequestIndex(0), RequestIndex(1));
        let step = || "select 1".to_owned();
        for (why, sentence) in [
            (
                LostControl::NotEnabled {
                    number: 3,
                    request: b,
                    because: Disabled::Answered,
                },
                "the schedule's choice 3 is B, which was answered and has no step to deliver",
            ),
            (
                LostControl::AnsweredBefore {
                    request: a,
                    step: step(),
                },
                "A was answered before: select 1. Does a request send several statements at once, \
                 or does a job of the target run beside the requests?",
            ),
            (
                LostControl::Unsettled(
                    Duration::from_secs(10),
                    vec![Unsettled::WaitsForOthers(a, vec![7]), Unsettled::Runs(b)],
                ),
                "after 10 s: A waits for sessions 7, which are no request's; \
                 B neither was answered nor waits for a lock",
            ),
            (
                LostControl::Silent(Duration::from_secs(10), vec![a, b]),
                "no answer and no step of A, B within 10 s",
            ),
        ] {
            assert_eq!(why.to_string(), sentence);
        }
    }
}
