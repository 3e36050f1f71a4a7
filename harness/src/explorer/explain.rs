//! Why it happened, in a sentence, where the transcript tells.
//!
//! The one idea: the classic races have signatures that can be read off the statements and their
//! results alone. What has none of them gets no sentence: a wrong one is worse than none.

use super::schedule::RequestIndex;
use super::sql::{Gist, Verb, gist, is_end};
use super::transcript::{Event, Transcript};
use super::witness::Witness;
use crate::proxy::{Reply, Statement};

/// Sentences that are worth their line.
const SENTENCES: usize = 2;

/// `buyer A`.
pub(super) fn buyer(request: RequestIndex) -> String {
    format!("buyer {request}")
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

/// `buyer A waits for buyer B and buyer B waits for buyer A`.
pub(super) fn circle(cycle: &[RequestIndex]) -> String {
    let next = cycle.iter().cycle().skip(1);
    let pairs = cycle.iter().zip(next);
    list(pairs.map(|(one, other)| format!("{} waits for {}", buyer(*one), buyer(*other))))
}

/// The sentences that explain `witness`, the most telling first; often one, sometimes none.
pub(super) fn explain(witness: &Witness) -> Vec<String> {
    let story = Story::of(&witness.transcript);
    let mut sentences = story.deadlock(&witness.transcript);
    sentences.extend(story.lost_updates());
    sentences.extend(story.blind_inserts());
    sentences.dedup();
    sentences.truncate(SENTENCES);
    sentences
}

/// One statement that ran, and when.
#[derive(Debug)]
struct Deed<'a> {
    request: RequestIndex,
    gist: Gist,
    /// Its place in the transcript when it was delivered, and when it was answered.
    began: usize,
    ended: usize,
    reply: Option<&'a Reply>,
    /// Which of the reply's results is its own.
    result: usize,
}

#[derive(Debug)]
struct Story<'a> {
    deeds: Vec<Deed<'a>>,
    /// When each transaction ended: whose, and its place.
    ends: Vec<(RequestIndex, usize)>,
}

impl<'a> Story<'a> {
    fn of(transcript: &'a Transcript) -> Story<'a> {
        let mut story = Story {
            deeds: Vec::new(),
            ends: Vec::new(),
        };
        for (place, event) in transcript.events.iter().enumerate() {
            match event {
                Event::Delivered {
                    request,
                    statements,
                } => story.deliver(place, *request, statements),
                Event::Replied { request, reply } => story.reply(place, *request, reply),
                Event::Answered { request } => story.ends.push((*request, place)),
                _ => {}
            }
        }
        story
    }

    fn deliver(&mut self, place: usize, request: RequestIndex, statements: &[Statement]) {
        for (result, statement) in statements.iter().enumerate() {
            if is_end(&statement.sql) {
                self.ends.push((request, place));
            }
            if let Some(gist) = gist(statement) {
                self.deeds.push(Deed {
                    request,
                    gist,
                    began: place,
                    ended: usize::MAX,
                    reply: None,
                    result,
                });
            }
        }
    }

    fn reply(&mut self, place: usize, request: RequestIndex, reply: &'a Reply) {
        let is_open = |deed: &&mut Deed<'_>| deed.request == request && deed.reply.is_none();
        for deed in self.deeds.iter_mut().filter(is_open) {
            (deed.ended, deed.reply) = (place, Some(reply));
        }
    }

    /// Who waits in a circle, and for what: what one wants is what the next one holds.
    fn deadlock(&self, transcript: &Transcript) -> Vec<String> {
        let mut events = transcript.events.iter().enumerate();
        let found = events.find_map(|(place, event)| match event {
            Event::Deadlocked { cycle } => Some((place, cycle)),
            _ => None,
        });
        let Some((place, cycle)) = found else {
            return Vec::new();
        };
        let wants = |request: RequestIndex| {
            let mut deeds = self.deeds.iter().rev();
            let deed = deeds.find(|deed| deed.request == request && deed.began < place)?;
            Some(deed.gist.rows())
        };
        let before = cycle.iter().cycle().skip(cycle.len() - 1);
        let parts = cycle.iter().zip(before).map(|(one, before)| {
            let (held, wanted) = (wants(*before)?, wants(*one)?);
            Some(format!("{} holds {held} and wants {wanted}", buyer(*one)))
        });
        match parts.collect::<Option<Vec<_>>>() {
            Some(parts) => vec![parts.join(", ")],
            None => vec![circle(cycle)],
        }
    }

    /// Two who changed the same row, the second by what it had read before the first's change.
    fn lost_updates(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        let writes = |deed: &&Deed<'_>| deed.gist.verb == Verb::Update && deed.changed();
        for second in self.deeds.iter().filter(writes) {
            let earlier = self.deeds.iter().filter(writes);
            let first = earlier.filter(|first| {
                first.request != second.request
                    && first.began < second.began
                    && first.gist.rows() == second.gist.rows()
            });
            for first in first {
                sentences.extend(self.stale_read(first, second));
            }
        }
        // All who acted on one value are in the longest sentence.
        sentences.sort_by_key(|sentence: &String| std::cmp::Reverse(sentence.len()));
        sentences.truncate(1);
        sentences
    }

    fn stale_read(&self, first: &Deed<'_>, second: &Deed<'_>) -> Option<String> {
        let (read, column, value) = self.basis(second)?;
        if read.gist.verb != Verb::Read || read.ended > first.began {
            return None;
        }
        let reader = buyer(second.request);
        let writer = buyer(first.request);
        let locked_later = self.deeds.iter().any(|deed| {
            deed.request == second.request
                && deed.gist.verb == Verb::Lock
                && deed.gist.table == read.gist.table
                && (read.ended..second.began).contains(&deed.began)
        });
        if locked_later {
            return Some(format!(
                "{reader} read {column} = {value} before it held the row, {writer} changed the row \
                 meanwhile, and {reader} went on with the old value"
            ));
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
        let names = list(together.into_iter().map(buyer));
        Some(format!(
            "{names} {all}read {column} = {value}, and {none} held the row"
        ))
    }

    /// The last read before `write` of a column that it sets, with the value.
    fn basis(&self, write: &Deed<'a>) -> Option<(&Deed<'a>, String, String)> {
        let reads = self.deeds.iter().rev().filter(|deed| {
            deed.request == write.request
                && deed.began < write.began
                && matches!(deed.gist.verb, Verb::Read | Verb::Lock)
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
        write: &Deed<'_>,
        column: &str,
        value: &str,
    ) -> Vec<RequestIndex> {
        let mut readers: Vec<_> = self
            .deeds
            .iter()
            .filter(|deed| deed.gist.verb == Verb::Update && deed.changed())
            .filter(|deed| deed.gist.rows() == write.gist.rows())
            .filter(|deed| {
                self.basis(deed)
                    .is_some_and(|(read, its_column, its_value)| {
                        read.gist.verb == Verb::Read
                            && read.gist.table == table
                            && its_column == column
                            && its_value == value
                    })
            })
            .map(|deed| deed.request)
            .collect();
        readers.sort();
        readers.dedup();
        readers
    }

    /// Two who inserted because neither saw the other's row, which was not committed.
    fn blind_inserts(&self) -> Option<String> {
        let inserts = |deed: &&Deed<'_>| deed.gist.verb == Verb::Insert && deed.changed();
        self.deeds.iter().filter(inserts).find_map(|second| {
            let looked = self.looked(second)?;
            let first = self.deeds.iter().filter(inserts).find(|first| {
                first.request != second.request
                    && first.began <= second.began
                    && first.gist.table == second.gist.table
                    && self.looked(first).is_some()
                    && looked < self.committed(first)
            })?;
            let names = list([first.request, second.request].map(buyer));
            Some(format!(
                "{names} both looked into {} before the other's row was committed, and both inserted",
                second.gist.table
            ))
        })
    }

    /// When the request of `insert` last looked whether such a row is there.
    fn looked(&self, insert: &Deed<'_>) -> Option<usize> {
        let is_conditional = insert.gist.words.iter().any(|word| word == "exists");
        if is_conditional {
            return Some(insert.began);
        }
        let looks = self.deeds.iter().filter(|deed| {
            deed.request == insert.request
                && deed.began < insert.began
                && deed.gist.verb == Verb::Read
                && deed.gist.table == insert.gist.table
        });
        looks.map(|look| look.began).max()
    }

    fn committed(&self, deed: &Deed<'_>) -> usize {
        let ends = self.ends.iter();
        let end = ends.filter(|(request, place)| *request == deed.request && *place > deed.began);
        end.map(|(_, place)| *place).min().unwrap_or(usize::MAX)
    }
}

impl Deed<'_> {
    /// Whether it changed a row, going by its command tag.
    fn changed(&self) -> bool {
        let result = self.reply.and_then(|reply| reply.results.get(self.result));
        let tag = result.and_then(|result| result.tag.as_deref());
        tag.is_some_and(|tag| !tag.ends_with(" 0"))
    }

    /// The first of `columns` in the first row, with its value.
    fn value_of(&self, columns: &[&str]) -> Option<(String, String)> {
        let result = self.reply?.results.get(self.result)?;
        let row = result.first_rows.first()?;
        let at = result
            .columns
            .iter()
            .position(|column| columns.contains(&column.as_str()))?;
        let value = row.get(at)?.clone().unwrap_or_else(|| "null".into());
        Some((result.columns[at].clone(), value))
    }
}

impl Gist {
    /// The rows that it is about: `item (id = 1)`.
    fn rows(&self) -> String {
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
