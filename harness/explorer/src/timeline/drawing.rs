//! A run as a drawing: what happened in which lane, from when to when, and what each request had seen.
//!
//! Time is the place in the transcript: nothing here knows pixels, markup or colours. A request that
//! uses several connections has one lane for all of them, since a transcript keeps no connections.

use std::collections::BTreeMap;

use rowlock_core::answer::{Answer, Ending};
use rowlock_core::program::Program;
use rowlock_proxy::Statement;

use super::explain::circle;
use super::moments::results;
pub use super::moments::{Line, Look};
use super::statement_log::StatementLog;
use crate::schedule::RequestIndex;
use crate::sql::{Effect, filled};
use crate::transcript::Event;
use crate::witness::Witness;

/// A run, ready to be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// What a client is called.
    pub client: &'static str,
    /// Each request in a few words.
    pub requests: Vec<String>,
    /// What happened, in order.
    pub happenings: Vec<Happening>,
    /// The happenings at which it went wrong, as far as that is known.
    pub wrong: Vec<usize>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// What.
    pub what: What,
    /// Its place in the transcript.
    pub place: usize,
    /// What each request had seen of the rows by then.
    pub seen: Vec<Seen>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The request was sent to the service.
    Invoked(RequestIndex),
    /// The service answered it.
    Answered {
        /// Which one.
        request: RequestIndex,
        /// What it was told.
        reply: String,
        /// Whether it was told that it is done.
        is_ok: bool,
    },
    /// The request's statements went to PostgreSQL.
    Step(Step),
    /// The request waits inside the service.
    Stalled(RequestIndex),
    /// Requests wait for each other in a circle, as this says.
    Deadlocked(String),
}

/// A step of a request: what it sent PostgreSQL in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Whose.
    pub request: RequestIndex,
    /// The number of the choice that let it go; none where it passed without one.
    pub number: Option<usize>,
    /// Its statements, their values in place.
    pub statements: Vec<String>,
    /// The place in the transcript where it was answered; none where it never was.
    pub ended: Option<usize>,
    /// What came back.
    pub results: Vec<Line>,
    /// Where it began to wait for a lock, and for whom; empty where it is for no request.
    pub waits: Vec<(usize, Vec<RequestIndex>)>,
}

/// Columns with their values.
pub type Values = Vec<(String, String)>;

/// Rows as a request last saw them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Who saw them.
    pub request: RequestIndex,
    /// Which rows: `item (id = 1)`.
    pub rows: String,
    /// The first of them.
    pub values: Values,
    /// Who has changed them since, if somebody has.
    pub changed_by: Option<RequestIndex>,
}

impl Drawing {
    /// What happened in `witness`.
    pub fn of<P: Program>(witness: &Witness<P>) -> Drawing {
        let mut drawing = Drawing {
            client: P::CLIENT,
            requests: (0..witness.program.call_count())
                .map(|call| witness.program.describe_call(call))
                .collect(),
            happenings: Vec::new(),
            wrong: Vec::new(),
        };
        let mut choices = 0;
        for (place, event) in witness.transcript.events.iter().enumerate() {
            drawing.add(place, event, witness, &mut choices);
        }
        drawing.see(&StatementLog::of(&witness.transcript, P::CLIENT));
        let reasons = match witness.violated.is_empty() {
            true => Vec::new(),
            false => super::explain(witness),
        };
        let places: Vec<_> = reasons.iter().map(|reason| reason.place).collect();
        let happenings = drawing.happenings.iter().enumerate();
        let wrong = happenings.filter(|(_, it)| places.contains(&it.place));
        drawing.wrong = wrong.map(|(index, _)| index).collect();
        drawing
    }

    fn add<P: Program>(
        &mut self,
        place: usize,
        event: &Event,
        witness: &Witness<P>,
        choices: &mut usize,
    ) {
        let what = match event {
            Event::Invoked { request } => What::Invoked(*request),
            Event::Passed {
                request,
                statements,
            } => What::Step(Step::new(*request, None, statements)),
            Event::Delivered {
                request,
                statements,
            } => {
                // A step delivered right after another one's was chosen with it.
                let before = place.checked_sub(1);
                let before = before.and_then(|place| witness.transcript.events.get(place));
                let is_paired = matches!(before, Some(Event::Delivered { request: other, .. })
                    if other != request);
                *choices += usize::from(!is_paired);
                What::Step(Step::new(*request, Some(*choices), statements))
            }
            Event::Waits { request, by } => {
                if let Some(step) = self.under_way(*request) {
                    step.waits.push((place, by.clone()));
                }
                return;
            }
            Event::Replied { request, reply } => {
                if let Some(step) = self.under_way(*request) {
                    step.ended = Some(place);
                    step.results = results(reply);
                }
                return;
            }
            Event::Stalled { request } => What::Stalled(*request),
            Event::Deadlocked { cycle } => What::Deadlocked(circle(cycle, P::CLIENT)),
            Event::Answered { request } => {
                let answer = witness.answers.get(request.0);
                What::Answered {
                    request: *request,
                    reply: answer.map_or(String::new(), Answer::reply),
                    is_ok: answer.is_some_and(|answer| answer.ending() == Ending::Ok),
                }
            }
        };
        self.happenings.push(Happening {
            what,
            place,
            seen: Vec::new(),
        });
    }

    /// The request's last step, if it is not answered.
    fn under_way(&mut self, request: RequestIndex) -> Option<&mut Step> {
        let steps = self.happenings.iter_mut().rev();
        let mut steps = steps.filter_map(|happening| match &mut happening.what {
            What::Step(step) if step.request == request => Some(step),
            _ => None,
        });
        steps.next().filter(|step| step.ended.is_none())
    }

    /// Writes to each happening what had been seen by its end.
    fn see(&mut self, log: &StatementLog<'_>) {
        for happening in &mut self.happenings {
            let until = match &happening.what {
                What::Step(step) => step.ended.unwrap_or(happening.place),
                _ => happening.place,
            };
            happening.seen = log.seen_until(until);
            // What it saw means nothing to a request that is over.
            for seen in &mut happening.seen {
                let mut ends = log.ends.iter();
                if ends.any(|(request, place)| *request == seen.request && *place < until) {
                    seen.changed_by = None;
                }
            }
        }
    }
}

impl Step {
    fn new(request: RequestIndex, number: Option<usize>, statements: &[Statement]) -> Step {
        Step {
            request,
            number,
            statements: statements.iter().map(filled).collect(),
            ended: None,
            results: Vec::new(),
            waits: Vec::new(),
        }
    }
}

impl StatementLog<'_> {
    /// What each request saw last of which rows, by the answers up to the place `until`.
    fn seen_until(&self, until: usize) -> Vec<Seen> {
        let mut seen: BTreeMap<(RequestIndex, String), (usize, Values)> = BTreeMap::new();
        for statement in self.statements.iter().filter(|it| it.ended <= until) {
            let values = statement.values();
            if !values.is_empty() {
                let rows = (statement.request, statement.gist.rows());
                seen.insert(rows, (statement.ended, values));
            }
        }
        let seen = seen.into_iter();
        seen.map(|((request, rows), (at, values))| {
            let changes = self.statements.iter().filter(|it| it.ended <= until);
            let mut changes = changes.filter(|it| it.request != request && it.began >= at);
            let is_change = |effect| matches!(effect, Effect::Update | Effect::Delete);
            let change = changes
                .find(|it| is_change(it.gist.effect) && it.changed() && it.gist.rows() == rows);
            Seen {
                request,
                values,
                changed_by: change.map(|change| change.request),
                rows,
            }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use rowlock_shop::program;

    use super::super::super::toy::{Toy, ToyRunner};
    use super::*;

    async fn drawn(toy: Toy, program: &str, letters: &str) -> Drawing {
        let program = program::find(program).unwrap().program(2);
        let run = ToyRunner::new(toy).run_letters(&program, letters).await;
        Drawing::of(&Witness::new("a toy", &program, &run).unwrap())
    }

    fn steps(drawing: &Drawing) -> impl Iterator<Item = (&Happening, &Step)> {
        let steps = drawing.happenings.iter();
        steps.filter_map(|happening| match &happening.what {
            What::Step(step) => Some((happening, step)),
            _ => None,
        })
    }

    #[tokio::test]
    async fn a_lost_update_is_wrong_at_the_second_write_which_rests_on_rows_changed_since() {
        let drawing = drawn(Toy::Unlocked, "one-item", "ABBBBBAAAA").await;
        let [wrong] = drawing.wrong[..] else {
            panic!("{:?}", drawing.wrong);
        };
        let What::Step(step) = &drawing.happenings[wrong].what else {
            panic!("{:?}", drawing.happenings[wrong]);
        };
        assert_eq!(step.request, RequestIndex(0));
        assert!(step.statements[0].starts_with("update item"), "{step:?}");
        let stale = &drawing.happenings[wrong].seen;
        let stale: Vec<_> = stale.iter().filter(|it| it.changed_by.is_some()).collect();
        assert_eq!(stale[0].changed_by, Some(RequestIndex(1)), "{stale:?}");
        assert_eq!(stale[0].request, RequestIndex(0));
    }

    #[tokio::test]
    async fn a_wait_points_at_its_holder_and_ends_with_the_reply() {
        let drawing = drawn(Toy::Stale, "one-item", "AABBAAAABBBB").await;
        let (happening, waiter) = steps(&drawing)
            .find(|(_, step)| !step.waits.is_empty())
            .unwrap();
        assert_eq!(waiter.request, RequestIndex(1));
        let (at, by) = &waiter.waits[0];
        assert_eq!(by, &[RequestIndex(0)]);
        assert!(happening.place < *at && waiter.ended.is_some_and(|ended| *at < ended));
    }

    #[tokio::test]
    async fn a_deadlock_is_wrong_where_the_circle_closes() {
        let drawing = drawn(Toy::Greedy, "crosswise", "ABAB").await;
        let [wrong] = drawing.wrong[..] else {
            panic!("{:?}", drawing.wrong);
        };
        let what = &drawing.happenings[wrong].what;
        assert!(matches!(what, What::Deadlocked(_)), "{what:?}");
    }
}
