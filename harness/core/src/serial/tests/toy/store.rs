//! A store of a few cells, and calls that are scripts of single steps on it.

use std::collections::BTreeMap;

use super::CallIndex;

pub(super) const CELLS: usize = 2;

/// One step of a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    /// Remembers the cell.
    Read(usize),
    /// Is refused unless the remembered value is at least this.
    Need(i64),
    /// Writes what is remembered and this to the cell.
    Write(usize, i64),
    /// Takes the cell's lock until the end of the call, or gives way.
    Lock(usize),
    /// Appends what is remembered to the log.
    Log,
}

pub(super) type Script = Vec<Op>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Served,
    Refused,
    GaveWay,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Store {
    pub(super) cells: [i64; CELLS],
    pub(super) log: Vec<(usize, i64)>,
    locks: [Option<CallIndex>; CELLS],
}

/// A call underway.
#[derive(Debug)]
struct Running<'a> {
    call: CallIndex,
    ops: std::slice::Iter<'a, Op>,
    remembered: i64,
}

impl<'a> Running<'a> {
    fn new(stories: &'a [Vec<Script>], call: CallIndex) -> Self {
        Running {
            call,
            ops: stories[call.actor][call.position].iter(),
            remembered: 0,
        }
    }

    /// Makes one step; says how the call ended if that was the last.
    fn step(&mut self, store: &mut Store) -> Option<End> {
        let end = match self.ops.next() {
            None => Some(End::Served),
            Some(op) => self.make(*op, store),
        };
        if end.is_some() {
            for lock in &mut store.locks {
                *lock = lock.filter(|holder| *holder != self.call);
            }
        }
        end
    }

    fn make(&mut self, op: Op, store: &mut Store) -> Option<End> {
        match op {
            Op::Read(cell) => self.remembered = store.cells[cell],
            Op::Need(least) if self.remembered < least => return Some(End::Refused),
            Op::Need(_) => {}
            Op::Write(cell, more) => store.cells[cell] = self.remembered + more,
            Op::Lock(cell) if store.locks[cell].is_some_and(|holder| holder != self.call) => {
                return Some(End::GaveWay);
            }
            Op::Lock(cell) => store.locks[cell] = Some(self.call),
            Op::Log => store.log.push((self.call.actor, self.remembered)),
        }
        None
    }
}

#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) initial: [i64; CELLS],
    pub(super) stories: Vec<Vec<Script>>,
}

impl Program {
    fn store(&self) -> Store {
        Store {
            cells: self.initial,
            ..Store::default()
        }
    }

    pub(super) fn run_serially(&self, calls: &[CallIndex]) -> (Vec<End>, Store) {
        let mut store = self.store();
        let ends = calls.iter().map(|call| {
            let mut running = Running::new(&self.stories, *call);
            std::iter::repeat_with(|| running.step(&mut store)).find_map(|end| end)
        });
        let ends = ends.map(|end| end.expect("each script ends")).collect();
        (ends, store)
    }

    /// Runs the stories at once; `choices` say whose turn it is, and then the first who is not done.
    pub(super) fn run_at_once(&self, choices: &[usize]) -> (BTreeMap<CallIndex, End>, Store) {
        let (mut store, mut ends) = (self.store(), BTreeMap::new());
        let first = |actor| CallIndex { actor, position: 0 };
        let mut running: Vec<_> = (0..self.stories.len())
            .map(|actor| Running::new(&self.stories, first(actor)))
            .collect();
        let mut choices = choices.iter().copied().chain(std::iter::repeat(0));
        while !running.is_empty() {
            let turn = choices.next().unwrap_or(0) % running.len();
            let Some(end) = running[turn].step(&mut store) else {
                continue;
            };
            let CallIndex { actor, position } = running[turn].call;
            ends.insert(running[turn].call, end);
            if position + 1 < self.stories[actor].len() {
                let position = position + 1;
                running[turn] = Running::new(&self.stories, CallIndex { actor, position });
            } else {
                running.remove(turn);
            }
        }
        (ends, store)
    }

    pub(super) fn calls(&self) -> Vec<CallIndex> {
        let stories = self.stories.iter().enumerate();
        let calls = stories.flat_map(|(actor, story)| {
            (0..story.len()).map(move |position| CallIndex { actor, position })
        });
        calls.collect()
    }
}
