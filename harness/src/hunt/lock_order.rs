//! Locks that two stories take in opposite orders, so that each may come to wait for the other.

use rowlock_explorer::RequestIndex;
use rowlock_explorer::footprint::{Access, Mode};
use rowlock_explorer::strategies::{Guide, Leg};

use super::story::{StoryTrace, TracedStep};

/// Two locks that two stories take in opposite orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockOrder {
    /// Who locks what first, in a sentence.
    pub says: String,
    /// Where each has its first lock when it wants the other's.
    pub guide: Guide,
}

/// The lock orders of two stories that could deadlock; each story with who tells it.
pub(super) fn between(
    (one, first): (RequestIndex, &StoryTrace),
    (other, second): (RequestIndex, &StoryTrace),
) -> Vec<LockOrder> {
    let mut found: Vec<LockOrder> = Vec::new();
    let of_second = held_and_wanted(second);
    for mine in held_and_wanted(first) {
        for theirs in &of_second {
            let may_circle = mine.wanted.depends_on(theirs.held)
                && theirs.wanted.depends_on(mine.held)
                && !mine.held.depends_on(theirs.held)
                && !are_guarded((first, &mine), (second, theirs));
            if !may_circle {
                continue;
            }
            let says = format!(
                "{one} locks {} and then {}; {other} locks {} and then {}",
                mine.held, mine.wanted, theirs.held, theirs.wanted,
            );
            if found.iter().any(|known| known.says == says) {
                continue;
            }
            let leg = |request, choices| Leg { request, choices };
            let guide = Guide(vec![
                leg(one, mine.held_at + 1),
                leg(other, theirs.held_at + 1),
                leg(one, usize::MAX),
                leg(other, usize::MAX),
            ]);
            found.push(LockOrder { says, guide });
        }
    }
    found
}

/// A lock that is held while another is taken.
struct HeldAndWanted<'a> {
    held: &'a Access,
    held_at: usize,
    wanted: &'a Access,
    transaction: usize,
}

/// Every lock that a story takes and, while it holds that, every other that it has not yet.
fn held_and_wanted(story: &StoryTrace) -> Vec<HeldAndWanted<'_>> {
    let mut all = Vec::new();
    let mut taken: Vec<(usize, &Access)> = Vec::new();
    let mut transaction = 0;
    for (at, step) in story.steps.iter().enumerate() {
        if step.transaction != transaction {
            taken.clear();
            transaction = step.transaction;
        }
        let is_new = |lock: &&Access| !taken.iter().any(|(_, known)| covers(known, lock));
        let new: Vec<_> = step.locks().filter(is_new).collect();
        for wanted in &new {
            all.extend(taken.iter().map(|(held_at, held)| HeldAndWanted {
                held,
                held_at: *held_at,
                wanted,
                transaction,
            }));
        }
        taken.extend(new.into_iter().map(|lock| (at, lock)));
    }
    all
}

/// Whether whoever has the lock `held` has `wanted`, too.
fn covers(held: &Access, wanted: &Access) -> bool {
    let is_as_strong = held.mode == wanted.mode || held.mode == Mode::Lock;
    let mut columns = held.rows.iter();
    is_as_strong
        && held.table == wanted.table
        && columns.all(|(column, value)| wanted.rows.get(column) == Some(value))
}

/// Whether both have taken a lock before these that only one can have.
fn are_guarded(
    (one, mine): (&StoryTrace, &HeldAndWanted<'_>),
    (other, theirs): (&StoryTrace, &HeldAndWanted<'_>),
) -> bool {
    let before = |story: &StoryTrace, at: &HeldAndWanted<'_>| -> Vec<Access> {
        let earlier = story.steps[..at.held_at].iter();
        let earlier = earlier.filter(|step| step.transaction == at.transaction);
        earlier.flat_map(TracedStep::locks).cloned().collect()
    };
    let theirs = before(other, theirs);
    let mine = before(one, mine);
    // Only where both name the very rows is it certain that they meet.
    let is_guard = |lock: &Access| lock.mode == Mode::Lock && theirs.contains(lock);
    mine.iter().any(is_guard)
}
