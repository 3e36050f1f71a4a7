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
//! counts, not only what it was expected to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{ATTEMPTS, led_elsewhere};
use crate::control::Control;
use crate::execution::{Execution, Transition};
use crate::footprint::Footprint;
use crate::schedule::{Choice, RequestIndex};
use crate::strategy::{Chooser, Next, Point, Strategy};

/// Exhaustive search with reduction.
#[derive(Debug, Default)]
pub struct Dfs {
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
type Sleep = BTreeMap<RequestIndex, Footprint>;

/// A point that was reached.
#[derive(Debug)]
struct Node {
    /// The choices on the way to it.
    path: Vec<Choice>,
    /// What it offered, with what each step can touch.
    transition: Transition,
    /// What need not be run from here: it is equivalent to something that was.
    sleep: Sleep,
    /// What is to be run from here.
    todo: BTreeSet<RequestIndex>,
    /// What was handed out from here.
    done: Vec<RequestIndex>,
    /// What the steps that were run from here were seen to touch.
    touched: BTreeMap<RequestIndex, Footprint>,
    children: BTreeMap<RequestIndex, usize>,
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
        if let Some(place) = self.diverged(&branch, execution) {
            return self.retry(branch, place, execution);
        }
        let path = self.extend(execution);
        let transitions = &execution.transitions[..path.len()];
        for (earlier, wanted) in reversals(transitions) {
            self.add(path[earlier], wanted);
        }
    }

    fn pruned(&self) -> u64 {
        let left_out = |node: &Node| node.transition.enabled.len() - node.done.len();
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
                sleep: Sleep::new(),
            };
        };
        let node = &self.nodes[at];
        let mut prefix = node.path.clone();
        prefix.push(Choice::Deliver(request));
        DfsRun {
            prefix,
            sleep: node.sleep_before(request, Some(Footprint::NOTHING)),
        }
    }

    /// The first place at which the run was offered something else than the same choices were
    /// offered before.
    fn diverged(&self, branch: &Branch, execution: &Execution) -> Option<usize> {
        let (last, _) = branch.node?;
        let mut at = 0;
        for (place, transition) in execution.transitions.iter().enumerate() {
            let node = &self.nodes[at];
            if node.transition.enabled != transition.enabled {
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
    fn extend(&mut self, execution: &Execution) -> Vec<usize> {
        let mut path: Vec<usize> = Vec::new();
        for (place, transition) in execution.transitions.iter().enumerate() {
            let Some(request) = transition.choice.requests().next() else {
                break;
            };
            let known = match path.last() {
                None => (!self.nodes.is_empty()).then_some(0),
                Some(parent) => {
                    let came_by = execution.transitions[place - 1].choice.requests().next();
                    came_by.and_then(|by| self.nodes[*parent].children.get(&by).copied())
                }
            };
            if let Some(known) = known {
                self.nodes[known].see(request, &transition.touched);
                path.push(known);
                continue;
            }
            let sleep = match (path.last(), place.checked_sub(1)) {
                (Some(parent), Some(before)) => {
                    let before = &execution.transitions[before];
                    let by = before.choice.requests().next().unwrap_or_default();
                    still_asleep(self.nodes[*parent].sleep_before(by, None), before)
                }
                _ => Sleep::new(),
            };
            let is_asleep = sleep.contains_key(&request);
            let mut awake = transition.enabled.iter().map(|(request, _)| *request);
            let awake = awake.find(|request| !sleep.contains_key(request));
            self.redundant += u64::from(is_asleep);
            if is_asleep && awake.is_none() {
                break;
            }
            let id = self.nodes.len();
            if let (Some(parent), Some(before)) = (path.last(), place.checked_sub(1)) {
                let by = execution.transitions[before].choice.requests().next();
                self.nodes[*parent]
                    .children
                    .insert(by.unwrap_or_default(), id);
            }
            self.nodes.push(Node {
                path: execution.schedule.0[..place].to_vec(),
                transition: transition.clone(),
                sleep,
                todo: BTreeSet::new(),
                done: Vec::new(),
                touched: Sleep::new(),
                children: BTreeMap::new(),
            });
            // Somebody was awake after all, now that it is known what the earlier steps did.
            if is_asleep {
                self.add(id, Vec::from_iter(awake));
                break;
            }
            self.nodes[id].done.push(request);
            self.nodes[id].see(request, &transition.touched);
            path.push(id);
        }
        path
    }

    /// Sees to it that one of `wanted` is run from a node; none of them means all that can be.
    fn add(&mut self, at: usize, wanted: Vec<RequestIndex>) {
        let node = &mut self.nodes[at];
        let enabled = node.transition.enabled.iter().map(|(request, _)| *request);
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
                self.open.insert((node.path.len(), at));
            }
        }
    }
}

impl Node {
    /// What sleeps in the branch of `request`, before its own step wakes some. Of a step that was
    /// handed out and has not come back, `unseen` is taken for what it touches; without that it
    /// does not sleep.
    fn sleep_before(&self, request: RequestIndex, unseen: Option<Footprint>) -> Sleep {
        let earlier = self.done.iter().take_while(|other| **other != request);
        let earlier = earlier.filter_map(|other| {
            let touched = self.touched.get(other).or(unseen.as_ref())?;
            Some((*other, touched.clone()))
        });
        self.sleep.clone().into_iter().chain(earlier).collect()
    }

    /// Takes note of what the step of `request` was seen to touch.
    fn see(&mut self, request: RequestIndex, touched: &Footprint) {
        let seen = self.touched.entry(request).or_insert(Footprint::NOTHING);
        if seen != touched {
            *seen = seen.union(touched);
        }
    }
}

/// What still sleeps after a step: what it did not touch.
fn still_asleep(mut sleep: Sleep, made: &Transition) -> Sleep {
    sleep.retain(|request, seen| {
        let pending = made.enabled.iter().find(|(other, _)| other == request);
        let is_untouched = pending.is_some_and(|(_, next)| {
            !next.depends_on(&made.touched) && !seen.depends_on(&made.touched)
        });
        is_untouched && !made.moved.contains(request)
    });
    sleep
}

/// The steps that could have come before an earlier one on which they depend: the place of the
/// earlier one, and the requests of which one must go there for the order to be reversed.
fn reversals(transitions: &[Transition]) -> Vec<(usize, Vec<RequestIndex>)> {
    let count = transitions.len();
    // before[k]: the steps that must precede step k.
    let mut before: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); count];
    let mut found = Vec::new();
    for later in 0..count {
        let step = &transitions[later];
        let Some(request) = step.choice.requests().next() else {
            continue;
        };
        let mut direct = Vec::new();
        for earlier in (0..later).rev() {
            let other = &transitions[earlier];
            let is_same = other.moved.iter().any(|moved| step.moved.contains(moved));
            let depends = step.touched.depends_on(&other.touched);
            if !is_same && !depends {
                continue;
            }
            let is_between = before[later].contains(&earlier);
            if depends && !is_between && !other.moved.contains(&request) {
                direct.push(earlier);
            }
            let all: Vec<_> = before[earlier].iter().copied().collect();
            before[later].extend(all);
            before[later].insert(earlier);
        }
        for earlier in direct {
            let between = earlier + 1..later;
            let needed = between.filter(|place| {
                before[later].contains(place) && !before[*place].contains(&earlier)
            });
            let needed: Vec<_> = needed.collect();
            // Whoever must wait for another of them cannot begin.
            let begins = |place: &usize| !needed.iter().any(|other| before[*place].contains(other));
            let first = needed.iter().copied().filter(begins);
            let first = first.filter_map(|place| transitions[place].choice.requests().next());
            let mut wanted: Vec<_> = first.collect();
            if needed.is_empty() {
                wanted.push(request);
            }
            found.push((earlier, wanted));
        }
    }
    found
}

/// Follows a prefix, and then goes on calmly with what is not asleep.
struct DfsRun {
    prefix: Vec<Choice>,
    /// What sleeps beside the last choice of the prefix.
    sleep: Sleep,
}

impl Chooser for DfsRun {
    /// Sleep is worked out from the prefix on each time, so that a run can be repeated. It may be
    /// taken for deeper than it is, which costs at most a run: see [`Dfs::extend`].
    fn choose(&mut self, point: &Point<'_>) -> Choice {
        let place = point.before.len();
        if let Some(choice) = self.prefix.get(place) {
            return *choice;
        }
        let branch = self.prefix.len().saturating_sub(1);
        let sleep = point.transitions[branch.min(place)..]
            .iter()
            .fold(self.sleep.clone(), still_asleep);
        let nonpreemptive = point.nonpreemptive();
        let awake = point.enabled.iter().map(|(request, _)| *request);
        let mut awake = awake.filter(|request| !sleep.contains_key(request));
        let choice = match sleep.contains_key(&nonpreemptive) {
            true => awake.next().unwrap_or(nonpreemptive),
            false => nonpreemptive,
        };
        Choice::Deliver(choice)
    }
}
