//! Why it happened, in a sentence, where the transcript tells.
//!
//! The classic races have signatures that can be read off the statements and their
//! results alone. What has none of them gets no sentence: a wrong one is worse than none.

use rowlock_core::answer::{Answer, Ending};
use rowlock_core::program::Program;

use super::statement_log::{ExecutedStatement, StatementLog};
use crate::schedule::RequestIndex;
use crate::sql::{Effect, Gist};
use crate::transcript::{Event, Transcript};
use crate::witness::Witness;

/// Sentences that are worth their line.
const SENTENCES: usize = 2;

/// `client A`.
pub(super) fn named(client: &str, request: RequestIndex) -> String {
    format!("{client} {request}")
}

/// `one, two and three`.
pub(super) fn list(parts: impl IntoIterator<Item = String>) -> String {
    let mut parts: Vec<_> = parts.into_iter().collect();
    let last = parts.pop().unwrap_or_default();
    match parts.is_empty() {
        true => last,
        false => format!("{} and {last}", parts.join(", ")),
    }
}

/// `client A waits for client B and client B waits for client A`.
pub(super) fn circle(cycle: &[RequestIndex], client: &str) -> String {
    let next = cycle.iter().cycle().skip(1);
    let pairs = cycle.iter().zip(next);
    let named = |request| named(client, request);
    list(pairs.map(|(one, other)| format!("{} waits for {}", named(*one), named(*other))))
}

/// Why it happened, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// For people.
    pub sentence: String,
    /// The place in the transcript at which it went wrong.
    pub place: usize,
}

/// What explains `witness`, the most telling first; often one reason, sometimes none.
pub fn explain<P: Program>(witness: &Witness<P>) -> Vec<Reason> {
    let log = StatementLog::of(&witness.transcript, P::CLIENT);
    let mut reasons = log.deadlock(&witness.transcript);
    reasons.extend(log.lost_updates());
    reasons.extend(log.blind_inserts());
    reasons.extend(log.ignored_miss(&witness.answers));
    reasons.dedup_by(|one, other| one.sentence == other.sentence);
    reasons.truncate(SENTENCES);
    reasons
}

impl<'a> StatementLog<'a> {
    /// Who waits in a circle, and for what: what one wants is what the next one holds.
    fn deadlock(&self, transcript: &Transcript) -> Vec<Reason> {
        let mut events = transcript.events.iter().enumerate();
        let found = events.find_map(|(place, event)| match event {
            Event::Deadlocked { cycle } => Some((place, cycle)),
            _ => None,
        });
        let Some((place, cycle)) = found else {
            return Vec::new();
        };
        let wants = |request: RequestIndex| {
            let mut statements = self.statements.iter().rev();
            let statement = statements
                .find(|statement| statement.request == request && statement.began < place)?;
            Some(statement.gist.rows())
        };
        let before = cycle.iter().cycle().skip(cycle.len() - 1);
        let wanted: Vec<_> = cycle.iter().map(|one| wants(*one)).collect();
        if let Some(Some(row)) = wanted.first()
            && wanted.iter().all(|other| other.as_ref() == Some(row))
        {
            let names = list(cycle.iter().map(|one| self.named(*one)));
            let sentence =
                format!("{names} share a hold on {row}, and each waits for the other to let go");
            return vec![Reason { sentence, place }];
        }
        let parts = cycle.iter().zip(before).map(|(one, before)| {
            let (held, wanted) = (wants(*before)?, wants(*one)?);
            Some(format!(
                "{} holds {held} and wants {wanted}",
                self.named(*one)
            ))
        });
        let sentence = match parts.collect::<Option<Vec<_>>>() {
            Some(parts) => parts.join(", "),
            None => circle(cycle, self.client),
        };
        vec![Reason { sentence, place }]
    }

    /// Two who changed the same row, the second by what it had read before the first's change.
    fn lost_updates(&self) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = Vec::new();
        let updates = |statement: &&ExecutedStatement<'_>| statement.gist.effect == Effect::Update;
        for second in self
            .statements
            .iter()
            .filter(updates)
            .filter(|statement| statement.acted())
        {
            let earlier = self
                .statements
                .iter()
                .filter(updates)
                .filter(|statement| statement.changed());
            let first = earlier.filter(|first| {
                first.request != second.request
                    && first.began < second.began
                    && first.gist.rows() == second.gist.rows()
            });
            for first in first {
                let sentence = self.stale_read(first, second);
                let place = second.began;
                reasons.extend(sentence.map(|sentence| Reason { sentence, place }));
            }
        }
        // All who acted on one value are in the longest sentence.
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.sentence.len()));
        reasons.truncate(1);
        reasons
    }

    fn stale_read(
        &self,
        first: &ExecutedStatement<'_>,
        second: &ExecutedStatement<'_>,
    ) -> Option<String> {
        let (read, column, value) = self.basis(second)?;
        if read.held_the_row() {
            let old = self.ignored_lock(first, second, &column, &value)?;
            return Some(self.went_on(first, second, &column, &old));
        }
        if read.ended > first.began {
            return None;
        }
        let reader = self.named(second.request);
        let writer = self.named(first.request);
        let locked_later = self.statements.iter().any(|statement| {
            statement.request == second.request
                && statement.held_the_row()
                && statement.gist.table == read.gist.table
                && (read.ended..second.began).contains(&statement.began)
        });
        if locked_later {
            return Some(self.went_on(first, second, &column, &value));
        }
        let together = self.readers(&read.gist.table, second, &column, &value);
        if together.len() < 2 {
            return Some(format!(
                "{reader} read {column} = {value} without holding the row, and {writer} changed it \
                 before {reader} wrote"
            ));
        }
        let (all, none) = match together.len() {
            2 => ("both ", "neither"),
            _ => ("all ", "none of them"),
        };
        let names = list(together.into_iter().map(|request| self.named(request)));
        Some(format!(
            "{names} {all}read {column} = {value}, and {none} held the row"
        ))
    }

    /// The value that `second` had read before `first` changed it, if it went on with that though
    /// its lock then showed it the `fresh` one: it writes what is there already, or what the
    /// database must refuse.
    fn ignored_lock(
        &self,
        first: &ExecutedStatement<'_>,
        second: &ExecutedStatement<'_>,
        column: &str,
        fresh: &str,
    ) -> Option<String> {
        let mut words = second.gist.words.windows(2);
        let changes_nothing = words.any(|pair| pair[0] == column && pair[1] == fresh);
        if !changes_nothing && second.changed() {
            return None;
        }
        let mut reads = self.statements.iter().filter(|read| {
            read.request == second.request && !read.held_the_row() && read.ended < first.began
        });
        let (_, old) = reads.find_map(|read| read.value_of(&[column]))?;
        (old != fresh).then_some(old)
    }

    /// The last read before `write` of a column that it sets, with the value.
    fn basis(
        &self,
        write: &ExecutedStatement<'a>,
    ) -> Option<(&ExecutedStatement<'a>, String, String)> {
        let reads = self.statements.iter().rev().filter(|statement| {
            statement.request == write.request
                && statement.began < write.began
                && matches!(statement.gist.effect, Effect::Read | Effect::Lock)
        });
        reads.into_iter().find_map(|read| {
            let (column, value) = read.value_of(&write.gist.set_columns())?;
            Some((read, column, value))
        })
    }

    /// Those who wrote the same row as `write` after reading that value without a lock.
    fn readers(
        &self,
        table: &str,
        write: &ExecutedStatement<'_>,
        column: &str,
        value: &str,
    ) -> Vec<RequestIndex> {
        let mut readers: Vec<_> = self
            .statements
            .iter()
            .filter(|statement| statement.gist.effect == Effect::Update && statement.acted())
            .filter(|statement| statement.gist.rows() == write.gist.rows())
            .filter(|statement| {
                self.basis(statement)
                    .is_some_and(|(read, its_column, its_value)| {
                        !read.held_the_row()
                            && read.gist.table == table
                            && its_column == column
                            && its_value == value
                    })
            })
            .map(|statement| statement.request)
            .collect();
        readers.sort();
        readers.dedup();
        readers
    }

    /// Two who inserted because neither saw the other's row, which was not committed.
    fn blind_inserts(&self) -> Option<Reason> {
        let inserts = |statement: &&ExecutedStatement<'_>| {
            statement.gist.effect == Effect::Insert && statement.changed()
        };
        self.statements.iter().filter(inserts).find_map(|second| {
            let looked = self.looked(second)?;
            let first = self.statements.iter().filter(inserts).find(|first| {
                first.request != second.request
                    && first.began <= second.began
                    && first.gist.table == second.gist.table
                    && self.looked(first).is_some()
                    && looked < self.committed(first)
            })?;
            let names = list([first.request, second.request].map(|request| self.named(request)));
            let sentence = format!(
                "{names} both looked into {} before the other's row was committed, and both inserted",
                second.gist.table
            );
            let place = second.began;
            Some(Reason { sentence, place })
        })
    }

    /// One whose update found no row, and who was told that it is done all the same.
    fn ignored_miss(&self, answers: &[impl Answer]) -> Option<Reason> {
        let is_ok = |request: RequestIndex| {
            let answer = answers.get(request.0);
            answer.is_some_and(|answer| answer.ending() == Ending::Ok)
        };
        let mut statements = self.statements.iter();
        let miss = statements.find(|statement| statement.missed() && is_ok(statement.request))?;
        let (who, rows) = (self.named(miss.request), miss.gist.rows());
        let sentence =
            format!("{who}'s update of {rows} found no row, and {who} went on as if it had");
        let place = miss.began;
        Some(Reason { sentence, place })
    }

    /// When the request of `insert` last looked whether such a row is there.
    fn looked(&self, insert: &ExecutedStatement<'_>) -> Option<usize> {
        let is_conditional = insert.gist.words.iter().any(|word| word == "exists");
        if is_conditional {
            return Some(insert.began);
        }
        let looks = self.statements.iter().filter(|statement| {
            statement.request == insert.request
                && statement.began < insert.began
                && statement.gist.effect == Effect::Read
                && statement.gist.table == insert.gist.table
        });
        looks.map(|look| look.began).max()
    }

    fn committed(&self, statement: &ExecutedStatement<'_>) -> usize {
        let ends = self.ends.iter();
        let end = ends
            .filter(|(request, place)| *request == statement.request && *place > statement.began);
        end.map(|(_, place)| *place).min().unwrap_or(usize::MAX)
    }

    fn went_on(
        &self,
        first: &ExecutedStatement<'_>,
        second: &ExecutedStatement<'_>,
        column: &str,
        old: &str,
    ) -> String {
        let (writer, reader) = (self.named(first.request), self.named(second.request));
        format!(
            "{reader} read {column} = {old} before it held the row, {writer} changed the row \
         meanwhile, and {reader} went on with the old value"
        )
    }

    /// `client A`.
    fn named(&self, request: RequestIndex) -> String {
        named(self.client, request)
    }
}

impl Gist {
    /// The rows that it is about: `t (id = 1)`.
    pub(super) fn rows(&self) -> String {
        match self.condition.is_empty() {
            true => self.table.clone(),
            false => format!("{} ({})", self.table, self.condition),
        }
    }

    /// The words between SET and WHERE; values and operators among them name no column.
    fn set_columns(&self) -> Vec<&str> {
        let words = self.words.iter().map(String::as_str);
        words
            .skip_while(|word| *word != "set")
            .skip(1)
            .take_while(|word| *word != "where")
            .collect()
    }
}
