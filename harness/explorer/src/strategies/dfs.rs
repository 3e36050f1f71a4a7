//! Depth-first and exhaustive, with partial-order reduction.
//!
//! Two steps whose footprints have nothing in common lead to the same state in either order, so
//! one order will do. Which orders matter is found by running: wherever a step depends on an
//! earlier one of another request that it need not have followed, the reverse order is run too
//! (dynamic backtracking; C. Flanagan, P. Godefroid: Dynamic partial-order reduction for model
//! checking software, POPL 2005, with the races of P. Abdulla and others: Optimal dynamic
//! partial order reduction, POPL 2014). What was run from a point already sleeps in its later
//! branches until something that depends on it happens (sleep sets).
//!
//! A delivery that then waits for a lock is a step like any other; the COMMIT that sets it free
//! is a step of both requests, and touches what both touch. Whether a statement fails, and so
//! gives its transaction's locks back, shows only when it runs: what a step was seen to touch
//! counts, not only what it was expected to. And whether a read sees what a COMMIT published shows
//! only in what it is told (`observed`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::numbered::{Number, Numbered};
use super::observed::Observed;
use super::races::reversals;
use super::{ATTEMPTS, led_elsewhere};
use crate::control::Control;
use crate::execution::{Execution, Transition};
use crate::footprint::Footprint;
use crate::schedule::{Choice, RequestIndex};
use crate::strategy::{Chooser, Next, Point, Strategy};

/// Exhaustive search with reduction.
#[derive(Debug, Default)]
pub struct Dfs {
    footprints: Numbered,
    observed: Observed,
    nodes: Vec<Node>,
    /// Nodes that have something to do, the deepest last.
    open: BTreeSet<(usize, usize)>,
    under_way: VecDeque<Branch>,
    again: Vec<Branch>,
    has_begun: bool,
    incomplete: Vec<String>,
    redundant: u64,
}

/// Whose next step need not be run, and what it was seen to touch when it was.
type Sleep = BTreeMap<RequestIndex, Number>;

/// The steps that are held, with what each can touch.
type Enabled = Vec<(RequestIndex, Number)>;

/// A point that was reached.
#[derive(Debug)]
struct Node {
    /// From where it was reached, and by whose step; the first of all from nowhere.
    parent: Option<(usize, RequestIndex)>,
    /// How many choices are before it.
    depth: usize,
    /// What it offered.
    enabled: Enabled,
    /// What need not be run from here: it is equivalent to something that was.
    sleep: Sleep,
    /// What is to be run from here.
    todo: BTreeSet<RequestIndex>,
    /// What was handed out from here.
    done: Vec<RequestIndex>,
    /// What the steps that were run from here were seen to touch.
    touched: BTreeMap<RequestIndex, Number>,
    children: BTreeMap<RequestIndex, usize>,
}

/// As [`Sleep`]; of a step that has not come back nothing was seen.
type SleepBefore = BTreeMap<RequestIndex, Option<Number>>;

/// A run that was made, with the numbers of its footprints.
struct Made<'a> {
    execution: &'a Execution,
    enabled: Vec<Enabled>,
    touched: Vec<Number>,
}

/// A run to make: from this node, this choice. Without a node it is the first of all.
#[derive(Debug, Clone)]
struct Branch {
    node: Option<(usize, RequestIndex)>,
    attempt: u32,
}

impl Strategy for Dfs {
    fn next(&mut self) -> Next {
        let branch = match self.again.pop().or_else(|| self.next_branch()) {
            Some(branch) => branch,
            None if self.under_way.is_empty() => return Next::Exhausted,
            None => return Next::Wait,
        };
        let run = self.run(&branch);
        self.under_way.push_back(branch);
        Next::Run(Box::new(run))
    }

    fn observe(&mut self, execution: &Execution) {
        let Some(branch) = self.under_way.pop_front() else {
            return;
        };
        if let Control::Lost(why) = &execution.control {
            let what = format!("what follows {}: {why}", execution.schedule);
            return self.incomplete.push(what);
        }
        let enabled = execution.transitions.iter().map(|it| self.enabled(it));
        let enabled: Vec<_> = enabled.collect();
        if let Some(place) = self.diverged(&branch, execution, &enabled) {
            return self.retry(branch, place, execution);
        }
        let made = Made {
            execution,
            enabled,
            touched: self.touched(execution),
        };
        let commuting = (self.observed).learn(execution, &made.touched, &self.footprints);
        let path = self.extend(&made);
        let transitions = &execution.transitions[..path.len()];
        for (earlier, wanted) in reversals(transitions, &made.touched, &self.footprints, &commuting)
        {
            self.add(path[earlier], wanted);
        }
    }

    /// What reads were told there is as true as in its own runs.
    fn overhear(&mut self, execution: &Execution) {
        if execution.control.is_kept() {
            let touched = self.touched(execution);
            let _ = self.observed.learn(execution, &touched, &self.footprints);
        }
    }

    fn pruned(&self) -> u64 {
        let left_out = |node: &Node| node.enabled.len() - node.done.len();
        let left_out: usize = self.nodes.iter().map(left_out).sum();
        left_out as u64 + self.redundant
    }

    fn incomplete(&self) -> Vec<String> {
        self.incomplete.clone()
    }
}

impl Dfs {
    fn next_branch(&mut self) -> Option<Branch> {
        if !self.has_begun {
            self.has_begun = true;
            return Some(Branch {
                node: None,
                attempt: 1,
            });
        }
        let (depth, at) = *self.open.last()?;
        let node = &mut self.nodes[at];
        let request = node.todo.pop_first();
        if node.todo.is_empty() {
            self.open.remove(&(depth, at));
        }
        let request = request?;
        node.done.push(request);
        Some(Branch {
            node: Some((at, request)),
            attempt: 1,
        })
    }

    fn run(&self, branch: &Branch) -> DfsRun {
        let Some((at, request)) = branch.node else {
            return DfsRun {
                prefix: Vec::new(),
                sleep: BTreeMap::new(),
                known: None,
            };
        };
        let mut prefix = self.path_to(at);
        prefix.push(Choice::Deliver(request));
        let asleep = self.nodes[at].sleep_before(request, true).into_iter();
        let asleep = asleep.map(|(request, seen)| {
            let seen = seen.map_or(Footprint::NOTHING, |it| self.footprints.get(it).clone());
            (request, seen)
        });
        DfsRun {
            sleep: asleep.collect(),
            prefix,
            known: None,
        }
    }

    /// The choices on the way to a node.
    fn path_to(&self, at: usize) -> Vec<Choice> {
        let mut path = Vec::with_capacity(self.nodes[at].depth + 1);
        let mut at = at;
        while let Some((parent, by)) = self.nodes[at].parent {
            path.push(Choice::Deliver(by));
            at = parent;
        }
        path.reverse();
        path
    }

    fn touched(&mut self, execution: &Execution) -> Vec<Number> {
        let touched = execution.transitions.iter().map(|it| &it.touched);
        touched.map(|it| self.footprints.number(it)).collect()
    }

    fn enabled(&mut self, transition: &Transition) -> Enabled {
        let enabled = transition.enabled.iter();
        let enabled = enabled.map(|(request, touches)| (*request, self.footprints.number(touches)));
        enabled.collect()
    }

    /// The first place at which the run was offered something else than the same choices were
    /// offered before.
    fn diverged(
        &self,
        branch: &Branch,
        execution: &Execution,
        enabled: &[Enabled],
    ) -> Option<usize> {
        let (last, _) = branch.node?;
        let mut at = 0;
        for (place, transition) in execution.transitions.iter().enumerate() {
            let node = &self.nodes[at];
            if node.enabled != enabled[place] {
                return Some(place);
            }
            if at == last {
                return None;
            }
            let next = transition.choice.requests().next();
            match next.and_then(|next| node.children.get(&next)) {
                Some(child) => at = *child,
                None => return Some(place),
            }
        }
        Some(execution.transitions.len())
    }

    fn retry(&mut self, branch: Branch, place: usize, execution: &Execution) {
        if branch.attempt < ATTEMPTS {
            let attempt = branch.attempt + 1;
            return self.again.push(Branch { attempt, ..branch });
        }
        self.incomplete
            .push(led_elsewhere(&execution.schedule, place));
    }

    /// Adds the points of a run that are new, and gives all of its points, up to where it went
    /// on only because everything that could go on was asleep.
    fn extend(&mut self, made: &Made<'_>) -> Vec<usize> {
        let transitions = &made.execution.transitions;
        let mut path: Vec<usize> = Vec::new();
        for (place, transition) in transitions.iter().enumerate() {
            let Some(request) = transition.choice.requests().next() else {
                break;
            };
            let came_by = place.checked_sub(1).and_then(|before| {
                let by = transitions[before].choice.requests().next();
                Some((*path.last()?, by?))
            });
            let known = match came_by {
                None => (!self.nodes.is_empty()).then_some(0),
                Some((parent, by)) => self.nodes[parent].children.get(&by).copied(),
            };
            if let Some(known) = known {
                self.see(known, request, made.touched[place]);
                path.push(known);
                continue;
            }
            let sleep = match came_by {
                Some((parent, by)) => {
                    let sleep = self.nodes[parent].sleep_before(by, false);
                    self.still_asleep(sleep, made, place - 1)
                }
                None => Sleep::new(),
            };
            let is_asleep = sleep.contains_key(&request);
            let mut awake = transition.enabled.iter().map(|(request, _)| *request);
            let awake = awake.find(|request| !sleep.contains_key(request));
            self.redundant += u64::from(is_asleep);
            if is_asleep && awake.is_none() {
                break;
            }
            let id = self.nodes.len();
            if let Some((parent, by)) = came_by {
                self.nodes[parent].children.insert(by, id);
            }
            self.nodes.push(Node {
                parent: came_by,
                depth: place,
                enabled: made.enabled[place].clone(),
                sleep,
                todo: BTreeSet::new(),
                done: Vec::new(),
                touched: BTreeMap::new(),
                children: BTreeMap::new(),
            });
            // Somebody was awake after all, now that it is known what the earlier steps did.
            if is_asleep {
                self.add(id, Vec::from_iter(awake));
                break;
            }
            self.nodes[id].done.push(request);
            self.see(id, request, made.touched[place]);
            path.push(id);
        }
        path
    }

    /// Takes note of what the step of `request` from a node was seen to touch.
    fn see(&mut self, at: usize, request: RequestIndex, touched: Number) {
        let before = self.nodes[at].touched.get(&request).copied();
        let all = match before {
            Some(before) if before != touched => {
                let footprint = |number| self.footprints.get(number);
                let both = footprint(before).union(footprint(touched));
                self.footprints.number(&both)
            }
            _ => touched,
        };
        self.nodes[at].touched.insert(request, all);
    }

    /// What still sleeps after the step at `place`: what it did not touch.
    fn still_asleep(&self, asleep: SleepBefore, made: &Made<'_>, place: usize) -> Sleep {
        let touched = made.touched[place];
        let asleep = asleep.into_iter().filter_map(|(request, seen)| {
            let seen = seen?;
            let mut pending = made.enabled[place].iter();
            let (_, next) = pending.find(|(other, _)| *other == request)?;
            let is_untouched =
                !self.footprints.depend(*next, touched) && !self.footprints.depend(seen, touched);
            let moved = &made.execution.transitions[place].moved;
            (is_untouched && !moved.contains(&request)).then_some((request, seen))
        });
        asleep.collect()
    }

    /// Sees to it that one of `wanted` is run from a node; none of them means all that can be.
    fn add(&mut self, at: usize, wanted: Vec<RequestIndex>) {
        let node = &mut self.nodes[at];
        let enabled = node.enabled.iter().map(|(request, _)| *request);
        let enabled: Vec<_> = enabled.collect();
        let mut wanted: Vec<_> = wanted
            .into_iter()
            .filter(|request| enabled.contains(request))
            .collect();
        if wanted.is_empty() {
            wanted = enabled;
        } else {
            let is_run =
                |request: &RequestIndex| node.done.contains(request) || node.todo.contains(request);
            if wanted.iter().any(is_run) {
                return;
            }
            wanted.truncate(1);
        }
        for request in wanted {
            if !node.done.contains(&request) && !node.sleep.contains_key(&request) {
                node.todo.insert(request);
                self.open.insert((node.depth, at));
            }
        }
    }
}

impl Node {
    /// What sleeps in the branch of `request`, before its own step wakes some, each with what it was
    /// seen to touch. A step that was handed out and has not come back was not seen: it does not
    /// sleep unless `with_unseen`.
    fn sleep_before(&self, request: RequestIndex, with_unseen: bool) -> SleepBefore {
        let asleep = self.sleep.iter().map(|(other, seen)| (*other, Some(*seen)));
        let earlier = self.done.iter().take_while(|other| **other != request);
        let earlier = earlier.map(|other| (*other, self.touched.get(other).copied()));
        let earlier = earlier.filter(|(_, seen)| with_unseen || seen.is_some());
        asleep.chain(earlier).collect()
    }
}

/// Follows a prefix, and then goes on calmly with what is not asleep.
struct DfsRun {
    prefix: Vec<Choice>,
    /// What sleeps beside the last choice of the prefix.
    sleep: Asleep,
    /// What still sleeps after the first so many transitions.
    known: Option<(usize, Asleep)>,
}

/// As [`Sleep`], for a run that knows no numbers.
type Asleep = BTreeMap<RequestIndex, Footprint>;

impl DfsRun {
    /// What sleeps at `point`. It is worked out anew in each run, so that a run can be repeated. It may
    /// be taken for deeper than it is, which costs at most a run: see [`Dfs::extend`].
    fn asleep(&mut self, point: &Point<'_>) -> &Asleep {
        let place = point.before.len();
        let branch = self.prefix.len().saturating_sub(1).min(place);
        let (from, known) = match self.known.take() {
            Some((from, known)) if place > branch + 1 && from <= place => (from, known),
            _ => (branch, self.sleep.clone()),
        };
        let made = point.transitions[from..].iter();
        let asleep = made.fold(known, still_asleep);
        &self.known.insert((place, asleep)).1
    }
}

/// What still sleeps after a step: what it did not touch.
fn still_asleep(mut asleep: Asleep, made: &Transition) -> Asleep {
    asleep.retain(|request, seen| {
        let pending = made.enabled.iter().find(|(other, _)| other == request);
        let is_untouched = pending.is_some_and(|(_, next)| {
            !next.depends_on(&made.touched) && !seen.depends_on(&made.touched)
        });
        is_untouched && !made.moved.contains(request)
    });
    asleep
}

impl Chooser for DfsRun {
    fn choose(&mut self, point: &Point<'_>) -> Choice {
        if let Some(choice) = self.prefix.get(point.before.len()) {
            return *choice;
        }
        let nonpreemptive = point.nonpreemptive();
        let sleep = self.asleep(point);
        let awake = point.enabled.iter().map(|(request, _)| *request);
        let mut awake = awake.filter(|request| !sleep.contains_key(request));
        let choice = match sleep.contains_key(&nonpreemptive) {
            true => awake.next().unwrap_or(nonpreemptive),
            false => nonpreemptive,
        };
        Choice::Deliver(choice)
    }
}
