//! Whether stories can meet in the database at all.
//!
//! Where no step of one depends on a step of another, every interleaving is equivalent to the stories
//! one after another: steps that commute can be moved past each other until no two stories are mixed.

use std::collections::BTreeSet;

use rowlock_explorer::RequestIndex;
use rowlock_explorer::footprint::{Access, Mode};

use super::story::StoryTrace;
use super::suspicion::Suspicions;

/// What some stories have to do with each other.
#[derive(Debug, Clone)]
pub enum Relation {
    /// At least one of them cannot meet the others; why, in sentences.
    CannotConflict(Vec<String>),
    /// They can meet.
    MayConflict(Suspicions),
}

impl Relation {
    /// What `stories` have to do with each other, told at once.
    pub fn of(stories: &[&StoryTrace]) -> Relation {
        let apart = apart(stories);
        if apart.is_empty() {
            return Relation::MayConflict(Suspicions::of(stories));
        }
        let mut reasons = Vec::new();
        for (one, other) in apart {
            let (first, second) = (RequestIndex(one), RequestIndex(other));
            let why = why_apart(stories[one], stories[other]);
            reasons.push(format!("{first} and {second} {why}"));
        }
        Relation::CannotConflict(reasons)
    }
}

/// The pairs that keep the stories from being one group; none where they are one.
fn apart(stories: &[&StoryTrace]) -> Vec<(usize, usize)> {
    let mut group = BTreeSet::from([0]);
    loop {
        let joins = (0..stories.len()).find(|index| {
            let mut met = group.iter();
            !group.contains(index) && met.any(|known| can_meet(stories[*known], stories[*index]))
        });
        match joins {
            Some(index) => group.insert(index),
            None => break,
        };
    }
    let outside = (0..stories.len()).filter(|index| !group.contains(index));
    let outside: Vec<_> = outside.collect();
    let pairs = group
        .iter()
        .flat_map(|inside| outside.iter().map(move |it| (*inside, *it)));
    pairs.collect()
}

/// Whether the order of a step of `one` and a step of `other` can make a difference.
fn can_meet(one: &StoryTrace, other: &StoryTrace) -> bool {
    let is_unknown = one.gap.is_some() || other.gap.is_some();
    let depends = |step: &_| {
        let footprint: &rowlock_explorer::Footprint = step;
        let mut theirs = other.steps.iter();
        theirs.any(|it| it.footprint.depends_on(footprint))
    };
    is_unknown || one.steps.iter().any(|step| depends(&step.footprint))
}

/// Why two stories cannot meet.
fn why_apart(one: &StoryTrace, other: &StoryTrace) -> String {
    let (mine, theirs) = (one.tables(), other.tables());
    if mine.is_empty() || theirs.is_empty() {
        return "cannot meet: one of them touches no table".into();
    }
    let both: Vec<&str> = mine.intersection(&theirs).copied().collect();
    if both.is_empty() {
        let listed = |tables: &BTreeSet<&str>| {
            let tables: Vec<_> = tables.iter().copied().collect();
            tables.join(", ")
        };
        return format!(
            "touch different tables: {} and {}",
            listed(&mine),
            listed(&theirs)
        );
    }
    let reasons: Vec<_> = both
        .into_iter()
        .map(|table| in_table(table, one, other))
        .collect();
    format!(
        "share no row that one of them changes: {}",
        reasons.join("; ")
    )
}

fn in_table(table: &str, one: &StoryTrace, other: &StoryTrace) -> String {
    let changed = |story: &StoryTrace| -> BTreeSet<Access> {
        let accesses = story
            .steps
            .iter()
            .flat_map(super::story::TracedStep::accesses);
        let accesses = accesses.filter(|it| it.table == table && it.mode != Mode::Read);
        let rows = accesses.map(|it| Access {
            mode: Mode::Lock,
            ..it.clone()
        });
        rows.collect()
    };
    let (mine, theirs) = (changed(one), changed(other));
    let is_named_by_both = |row: &Access| theirs.iter().any(|other| row.overlaps(other));
    if let Some(row) = mine.iter().find(|row| is_named_by_both(row)) {
        return format!("both only keep others from taking {row} away");
    }
    let listed = |rows: &BTreeSet<Access>| {
        let rows: Vec<_> = rows.iter().map(ToString::to_string).collect();
        rows.join(", ")
    };
    match (mine.is_empty(), theirs.is_empty()) {
        (true, true) => format!("both only read {table}"),
        (false, false) => format!("{} and {}", listed(&mine), listed(&theirs)),
        (false, true) => format!("{} is not what the other reads", listed(&mine)),
        (true, false) => format!("{} is not what the other reads", listed(&theirs)),
    }
}
