//! What reads were told, and so which of them a COMMIT makes no difference to.
//!
//! A footprint says that a read may see what a COMMIT published; the reply says whether it did. A
//! statement that only reads changes nothing for anybody, and what it is told follows from what its
//! request was told before and from what others had committed by then. So where it was seen to be
//! told the same with a COMMIT before it and without, the two commute there, and no order of them
//! needs to be run for its own sake (conditional independence: S. Katz, D. Peled: Defining conditional
//! independence using collapses, TCS 1992; by values: K. Chatterjee, A. Pavlogiannis, V. Toman:
//! Value-centric dynamic partial order reduction, OOPSLA 2019).
//!
//! What was not seen is not assumed: a read that has been told something in one of the two situations
//! only depends on the COMMIT, as its footprint says. What is made up anew in each run, such as a time,
//! makes replies differ and so costs reduction, and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::numbered::{Number, Numbered};
use crate::execution::{Execution, Transition};
use crate::footprint::{Footprint, Mode};
use crate::schedule::{Choice, RequestIndex};
use crate::sql::shape;
use crate::transcript::Event;
use rowlock_proxy::{Reply, ReplyEnd, Statement};

/// Pairs of an earlier and a later step of one run that commute although their footprints do not say
/// so, by their places.
pub(super) type Commuting = HashSet<(usize, usize)>;

/// What was told in all runs so far.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// By situation; nothing where the same situation brought different replies.
    told: HashMap<u64, Option<u64>>,
    /// What each request was seen to touch in steps that do more than read.
    changed: BTreeMap<RequestIndex, BTreeSet<Number>>,
    shapes: HashMap<String, u64>,
}

/// One step of a run.
#[derive(Debug)]
struct Step {
    request: RequestIndex,
    touched: Number,
    /// What it runs, without its values: those follow from what its request was told.
    label: u64,
    /// What it was told, if it only reads.
    read: Option<u64>,
    may_touch_anything: bool,
}

/// A read, and what it depends on by its footprint.
#[derive(Debug)]
struct Read {
    place: usize,
    told: u64,
    /// What its request had been told, and what the read is.
    asked: u64,
    /// The steps of others before it.
    before: Vec<Other>,
    /// Those after it.
    after: Vec<Other>,
}

/// A step of another request on which a read depends by its footprint.
#[derive(Debug, Clone, Copy)]
struct Other {
    place: usize,
    identity: u64,
    may_touch_anything: bool,
}

impl Observed {
    /// Learns from a run in which every choice delivers one step, with the numbers of what its steps
    /// touched; gives the pairs of its steps that commute.
    pub(super) fn learn(
        &mut self,
        execution: &Execution,
        touched: &[Number],
        footprints: &Numbered,
    ) -> Commuting {
        let Some(steps) = self.steps(execution, touched, footprints) else {
            return Commuting::new();
        };
        for step in steps.iter().filter(|step| step.read.is_none()) {
            let changed = self.changed.entry(step.request).or_default();
            changed.insert(step.touched);
        }
        let reads = self.reads(&steps, &execution.transitions, footprints);
        for read in &reads {
            let situation = situation(read.asked, &read.before);
            let known = self.told.entry(situation).or_insert(Some(read.told));
            if *known != Some(read.told) {
                *known = None;
            }
        }
        reads.iter().flat_map(|read| self.commuting(read)).collect()
    }

    /// The steps of a run; nothing where they cannot be told one by one.
    fn steps(
        &mut self,
        execution: &Execution,
        touched: &[Number],
        footprints: &Numbered,
    ) -> Option<Vec<Step>> {
        let mut steps: Vec<Step> = Vec::new();
        // The place of the step that each request has on the server, and whether it waited.
        let mut under_way: BTreeMap<RequestIndex, (usize, bool)> = BTreeMap::new();
        for event in &execution.transcript.events {
            match event {
                Event::Delivered {
                    request,
                    statements,
                } => {
                    let place = steps.len();
                    let transition = execution.transitions.get(place)?;
                    if transition.choice != Choice::Deliver(*request) {
                        return None;
                    }
                    under_way.insert(*request, (place, false));
                    let number = touched[place];
                    steps.push(Step {
                        request: *request,
                        touched: number,
                        label: self.label(statements),
                        read: None,
                        may_touch_anything: *footprints.get(number) == Footprint::Everything,
                    });
                }
                Event::Waits { request, .. } => {
                    under_way.insert(*request, (under_way.get(request)?.0, true));
                }
                Event::Replied { request, reply } => {
                    let (place, waited) = under_way.remove(request)?;
                    let is_alone = execution.transitions[place].moved == [*request];
                    let only_reads = only_reads(footprints.get(steps[place].touched));
                    if !waited && is_alone && only_reads {
                        steps[place].read = digest(reply);
                    }
                }
                _ => {}
            }
        }
        (steps.len() == execution.transitions.len()).then_some(steps)
    }

    fn label(&mut self, statements: &[Statement]) -> u64 {
        let shapes = statements.iter().map(|statement| {
            let known = self.shapes.get(&statement.sql).copied();
            known.unwrap_or_else(|| {
                let shape = hash(&shape(&statement.sql));
                self.shapes.insert(statement.sql.clone(), shape);
                shape
            })
        });
        hash(&shapes.collect::<Vec<_>>())
    }

    /// The reads of a run. Each step has an identity: what its request had been told, what it runs,
    /// and the identities of what others did before it and it depends on. A read is known by what it
    /// was told, and is nothing to others but to those that may touch anything: it keeps a table from
    /// being locked as a whole.
    fn reads(
        &self,
        steps: &[Step],
        transitions: &[Transition],
        footprints: &Numbered,
    ) -> Vec<Read> {
        let mut local: BTreeMap<RequestIndex, u64> = BTreeMap::new();
        let mut identities: Vec<u64> = Vec::new();
        let mut reads: Vec<Read> = Vec::new();
        for (place, step) in steps.iter().enumerate() {
            let moved = &transitions[place].moved;
            let before = steps[..place].iter().enumerate();
            let before = before.filter(|(at, other)| {
                (other.read.is_none() || step.may_touch_anything)
                    && footprints.depend(other.touched, step.touched)
                    && !transitions[*at].moved.iter().any(|it| moved.contains(it))
            });
            let before = before.map(|(at, other)| Other {
                place: at,
                identity: identities[at],
                may_touch_anything: other.may_touch_anything,
            });
            let before: Vec<_> = before.collect();
            let of = |it: &RequestIndex| local.get(it).copied().unwrap_or_else(|| hash(&it.0));
            if let Some(told) = step.read {
                let asked = hash(&(of(&step.request), step.label));
                // What nobody changes is told the same always.
                let told_here = self.may_differ(step, footprints).then_some(told);
                let identity = hash(&(asked, told_here));
                local.insert(step.request, identity);
                identities.push(identity);
                reads.push(Read {
                    place,
                    told,
                    asked,
                    before,
                    after: Vec::new(),
                });
                continue;
            }
            let locals: Vec<_> = moved.iter().map(|it| (it.0, of(it))).collect();
            let identity = situation(hash(&(locals, step.label)), &before);
            identities.push(identity);
            local.extend(moved.iter().map(|it| (*it, hash(&(identity, it.0)))));
            for read in &mut reads {
                let reader = &steps[read.place];
                let is_other = !moved.contains(&reader.request);
                if is_other && footprints.depend(reader.touched, step.touched) {
                    read.after.push(Other {
                        place,
                        identity,
                        may_touch_anything: step.may_touch_anything,
                    });
                }
            }
        }
        reads
    }

    /// The steps with which a read was seen to commute: taken away from before it, the last first, or
    /// put before it, the first first, they leave what it is told.
    fn commuting(&self, read: &Read) -> Vec<(usize, usize)> {
        let is_the_same = |others: &[Other]| {
            let told = self.told.get(&situation(read.asked, others));
            told == Some(&Some(read.told))
        };
        let mut pairs = Vec::new();
        let mut others = read.before.clone();
        while let Some(last) = others.pop() {
            if last.may_touch_anything || !is_the_same(&others) {
                break;
            }
            pairs.push((last.place, read.place));
        }
        let mut others = read.before.clone();
        for next in &read.after {
            others.push(*next);
            if next.may_touch_anything || !is_the_same(&others) {
                break;
            }
            pairs.push((read.place, next.place));
        }
        pairs
    }

    /// Whether another request was seen to change what `read` may be told.
    fn may_differ(&self, read: &Step, footprints: &Numbered) -> bool {
        let mut others = self.changed.iter().filter(|(who, _)| **who != read.request);
        others.any(|(_, changed)| {
            let mut changed = changed.iter();
            changed.any(|other| footprints.depend(*other, read.touched))
        })
    }
}

/// What is asked where these steps of others came before.
fn situation(asked: u64, others: &[Other]) -> u64 {
    let mut identities: Vec<_> = others.iter().map(|other| other.identity).collect();
    identities.sort_unstable();
    hash(&(asked, identities))
}

/// Whether a step reads some rows and does nothing else.
fn only_reads(touched: &Footprint) -> bool {
    match touched {
        Footprint::Everything => false,
        Footprint::Rows(rows) => !rows.is_empty() && rows.iter().all(|it| it.mode == Mode::Read),
    }
}

/// A digest of a reply, where all of it is known.
fn digest(reply: &Reply) -> Option<u64> {
    if reply.error.is_some() || !matches!(reply.end, ReplyEnd::Ready(_)) {
        return None;
    }
    let results = reply.results.iter();
    let digests: Option<Vec<_>> = results
        .map(|it| Some((it.rows, it.digest?, &it.tag)))
        .collect();
    digests.map(|digests| hash(&digests))
}

fn hash(it: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    it.hash(&mut hasher);
    hasher.finish()
}
