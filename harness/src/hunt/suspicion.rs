//! What is suspicious about stories that touch the same rows, from their traces alone.
//!
//! Nothing here accuses anybody: a suspicion says which schedules are run first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use rowlock_explorer::RequestIndex;
use rowlock_explorer::footprint::{Access, Mode};
use rowlock_explorer::sql_clipped;
use rowlock_explorer::strategies::{Guide, Leg};
use serde::Serialize;

use super::lock_order::{self, LockOrder};
use super::story::{StoryTrace, TracedStep};

/// Longest statement that is shown, in characters.
const SHOWN: usize = 70;

/// How many places are tried beside the most suspicious ones, spread over the stories: where there are
/// more, whoever tries all of them anyway comes to the rest.
const MOST_SPREAD: usize = 32;

/// What is suspicious, the most suspicious first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What is read in one transaction is written in a later one, and no lock lasts so long.
    CommitBetween,
    /// Rows are read without a lock, and then written.
    ReadThenWrite,
    /// Rows are read without a lock, and then others are written that may rest on them.
    StaleRead,
    /// Locks are taken in opposite orders.
    LockOrder,
    /// A statement may touch anything, as far as anybody can read.
    Unreadable,
    /// Both touch the same rows.
    SharedRows,
}

/// Something suspicious.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suspicion {
    /// Of which kind.
    pub kind: Kind,
    /// It, in a sentence.
    pub says: String,
}

/// What is suspicious about some stories.
#[derive(Debug, Clone, Default)]
pub struct Suspicions {
    /// One of each kind, teller and table, the most suspicious first.
    pub told: Vec<Suspicion>,
    /// Lock orders that could deadlock.
    pub lock_orders: Vec<LockOrder>,
    /// What to run first, the most suspicious first.
    pub guides: Vec<Guide>,
}

/// Who tells a story.
#[derive(Clone, Copy)]
struct Teller<'a> {
    index: RequestIndex,
    story: &'a StoryTrace,
}

impl Suspicions {
    /// What is suspicious about `stories`, told at once.
    pub fn of(stories: &[&StoryTrace]) -> Suspicions {
        let mut gathered = Gathered {
            count: stories.len(),
            ..Gathered::default()
        };
        let tellers = stories.iter().enumerate().map(|(index, story)| Teller {
            index: RequestIndex(index),
            story,
        });
        let tellers: Vec<_> = tellers.collect();
        for one in &tellers {
            for other in tellers.iter().filter(|other| other.index != one.index) {
                gathered.reads(*one, *other);
                gathered.meetings(*one, *other);
                if one.index < other.index {
                    gathered.lock_orders(*one, *other);
                }
            }
        }
        gathered.end()
    }
}

/// Of which kind, by whom on what where that is told only once, and what is told.
type Told = (Kind, Option<(RequestIndex, String)>, String);

#[derive(Default)]
struct Gathered {
    count: usize,
    told: Vec<Told>,
    lock_orders: Vec<LockOrder>,
    /// Where somebody is left for somebody, and before which step of the same story, the last of
    /// such places first.
    guides: BTreeMap<Turn, BTreeSet<Reverse<usize>>>,
}

/// Who is left for whom, and before which step of theirs that makes it suspicious.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    kind: Kind,
    before: usize,
    left: RequestIndex,
    for_whom: RequestIndex,
}

impl Gathered {
    /// Reads of `one` of what `other` writes, before writes of its own.
    fn reads(&mut self, one: Teller<'_>, other: Teller<'_>) {
        let steps = &one.story.steps;
        for (place, step) in steps.iter().enumerate() {
            let reads = step.accesses().filter(|it| it.mode == Mode::Read);
            for read in reads.filter(|read| may_write(other.story, read)) {
                let Some((kind, write_at)) = then_writes(steps, place, read) else {
                    continue;
                };
                let write = &steps[write_at];
                self.guide(kind, one, place, other, write_at);
                let what = match kind {
                    Kind::CommitBetween => "and writes it in a later transaction",
                    Kind::ReadThenWrite => "without a lock, and then writes it",
                    _ => "without a lock, and then writes something else",
                };
                let says = format!(
                    "{} reads {read} {what}, while {} writes it: {}; then {}",
                    one.index,
                    other.index,
                    sql_clipped(&step.sql, SHOWN),
                    sql_clipped(&write.sql, SHOWN),
                );
                self.tell(kind, Some((one.index, read.table.clone())), says);
            }
        }
    }

    /// Steps of `one` whose order with some of `other`'s can make a difference.
    fn meetings(&mut self, one: Teller<'_>, other: Teller<'_>) {
        for (place, step) in one.story.steps.iter().enumerate() {
            let theirs = other.story.steps.iter();
            let mut met = theirs.filter(|it| it.footprint.depends_on(&step.footprint));
            let Some(first) = met.next() else { continue };
            let kind = match step.is_opaque() || first.is_opaque() {
                true => Kind::Unreadable,
                false => Kind::SharedRows,
            };
            self.guide(kind, one, place, other, one.story.steps.len());
            let (says, table) = match kind {
                Kind::Unreadable => {
                    let opaque = if step.is_opaque() { step } else { first };
                    let sql = sql_clipped(&opaque.sql, SHOWN);
                    (format!("nobody can read what this touches: {sql}"), sql)
                }
                _ => {
                    let access = shared(step, first).map_or(String::new(), ToString::to_string);
                    (format!("both touch {access}"), access)
                }
            };
            self.tell(kind, Some((RequestIndex(0), table)), says);
        }
    }

    /// Locks that `one` and `other` take in opposite orders.
    fn lock_orders(&mut self, one: Teller<'_>, other: Teller<'_>) {
        let orders = lock_order::between((one.index, one.story), (other.index, other.story));
        for order in orders {
            self.tell(Kind::LockOrder, None, order.says.clone());
            self.lock_orders.push(order);
        }
    }

    fn tell(&mut self, kind: Kind, about: Option<(RequestIndex, String)>, says: String) {
        let is_known =
            |(known, other, _): &Told| *known == kind && about.is_some() && *other == about;
        if !self.told.iter().any(is_known) {
            self.told.push((kind, about, says));
        }
    }

    /// `one` goes as far as its step at `place`, which is before one that makes it suspicious, and
    /// then `other` goes on.
    fn guide(
        &mut self,
        kind: Kind,
        one: Teller<'_>,
        place: usize,
        other: Teller<'_>,
        before: usize,
    ) {
        let turn = Turn {
            kind,
            before,
            left: one.index,
            for_whom: other.index,
        };
        let places = self.guides.entry(turn).or_default();
        places.insert(Reverse(place));
    }

    fn end(mut self) -> Suspicions {
        self.told.sort_by_key(|(kind, ..)| *kind);
        // The last place before the write has all that was read before it stale, too.
        let last = self.guides.iter().filter_map(|(turn, places)| {
            let Reverse(place) = places.first()?;
            Some((turn.kind, self.guide_of(*turn, *place)))
        });
        let (reads, rest): (Vec<_>, Vec<_>) = last.partition(|(kind, _)| *kind < Kind::LockOrder);
        let others = self.guides.iter().flat_map(|(turn, places)| {
            let places = places.iter().skip(1);
            places.map(|Reverse(place)| self.guide_of(*turn, *place))
        });
        let others: Vec<_> = others.collect();
        let step = others.len().div_ceil(MOST_SPREAD).max(1);
        let reads = reads.into_iter().map(|(_, guide)| guide);
        let locks = self.lock_orders.iter().map(|it| it.guide.clone());
        let rest = rest.into_iter().map(|(_, guide)| guide);
        let mut guides: Vec<Guide> = Vec::new();
        for guide in reads
            .chain(locks)
            .chain(rest)
            .chain(others.into_iter().step_by(step))
        {
            if !guides.contains(&guide) {
                guides.push(guide);
            }
        }
        let told = self.told.into_iter();
        Suspicions {
            told: told
                .map(|(kind, _, says)| Suspicion { kind, says })
                .collect(),
            lock_orders: self.lock_orders,
            guides,
        }
    }

    /// Whoever is neither left nor meant goes on when the other is through.
    fn guide_of(&self, turn: Turn, place: usize) -> Guide {
        let Turn { left, for_whom, .. } = turn;
        let leg = |request, choices| Leg { request, choices };
        let third = (0..self.count).map(RequestIndex);
        let third = third.filter(|it| *it != left && *it != for_whom);
        let legs = [leg(left, place + 1), leg(for_whom, usize::MAX)].into_iter();
        let rest = third.map(|it| leg(it, usize::MAX));
        Guide(legs.chain(rest).chain([leg(left, usize::MAX)]).collect())
    }
}

/// Whether `story` may write rows of `read`.
fn may_write(story: &StoryTrace, read: &Access) -> bool {
    story
        .steps
        .iter()
        .any(|step| writes(step, read) || (step.writes && step.is_opaque()))
}

fn writes(step: &TracedStep, rows: &Access) -> bool {
    let mut locks = step.accesses().filter(|it| it.mode == Mode::Lock);
    step.writes && locks.any(|lock| lock.overlaps(rows))
}

/// Which step writes after the `read` at `place`, where that is suspicious.
fn then_writes(steps: &[TracedStep], place: usize, read: &Access) -> Option<(Kind, usize)> {
    let step = &steps[place];
    let is_locked = steps[..=place].iter().any(|earlier| {
        let mut locks = earlier.locks();
        earlier.transaction == step.transaction && locks.any(|lock| lock.overlaps(read))
    });
    let mut later = place + 1..steps.len();
    let same = later.clone().find(|later| writes(&steps[*later], read));
    match same {
        Some(write) if steps[write].transaction != step.transaction => {
            Some((Kind::CommitBetween, write))
        }
        Some(_) | None if is_locked => None,
        Some(write) => Some((Kind::ReadThenWrite, write)),
        None => Some((Kind::StaleRead, later.find(|later| steps[*later].writes)?)),
    }
}

/// What of `step` may be rows of `other`.
fn shared<'a>(step: &'a TracedStep, other: &TracedStep) -> Option<&'a Access> {
    let mut accesses = step.accesses();
    accesses.find(|access| other.accesses().any(|theirs| access.depends_on(theirs)))
}
