//! Which programs a variant is explored with, how, and for how long.
//!
//! Whoever is right meets each of them in full: every interleaving of two requests, then what those
//! cannot show, two statements at once and three requests. A mutant meets those that must catch it,
//! and then has a glance at the others.

use std::time::Duration;

use rowlock_contract::Contract;
use rowlock_core::program::Program;
use rowlock_core::seed::Seed;
use rowlock_core::verdict::Verdict;
use rowlock_shop::program::{self, PROGRAMS, Template};

use super::variant::{Kind, Variant};
use crate::contract;
use crate::explorer::search::Budget;
use crate::explorer::strategies::{Dfs, Overlap, Pct};
use crate::explorer::{Exploration, Strategy};
use crate::mutants::Detector;

/// The most schedules of a program under each strategy that is not exhaustive.
const SAMPLE: u64 = 60;

/// The time for a program by which a mutant is not expected to be caught.
const GLANCE: Duration = Duration::from_secs(1);

/// For every interleaving of a program that must catch a mutant, or that a right service meets.
const EXHAUSTION: Duration = Duration::from_secs(60);

/// Ordering constraints of the bugs that are looked for among three requests.
const DEPTH: usize = 3;

/// One search of a plan.
#[derive(Debug)]
pub(super) struct Look<P> {
    pub(super) program: P,
    pub(super) how: How,
    pub(super) budget: Budget,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Exhaustive,
    Overlapping,
    Probabilistic,
}

/// The searches of `variant` with the shop's own programs, in order.
pub(super) fn of_shop(variant: &Variant) -> Vec<Look<program::Program>> {
    if variant.kind != Kind::Mutant {
        return PROGRAMS.iter().flat_map(in_full).collect();
    }
    let mut looks = Vec::new();
    let mut expected = Vec::new();
    for detector in variant.expected {
        let (Detector::Explorer(name) | Detector::ExplorerOfThree(name)) = detector else {
            continue;
        };
        let Some(template) = program::find(name) else {
            continue;
        };
        expected.push(*name);
        match detector {
            Detector::ExplorerOfThree(_) => looks.push(exhaustive(template.program(3))),
            _ => looks.extend(in_full(template)),
        }
    }
    let others = PROGRAMS
        .iter()
        .filter(|template| !expected.contains(&template.name));
    looks.extend(others.map(|template| glance(template.program(2))));
    looks
}

/// The searches of `variant` with the programs of `contract`, in order. What must catch it are the
/// programs of the same names.
pub(super) fn of_contract(contract: &Contract, variant: &Variant) -> Vec<Look<contract::Program>> {
    let programs = contract::programs(contract);
    if variant.kind != Kind::Mutant {
        return programs.into_iter().map(exhaustive).collect();
    }
    let (expected, others): (Vec<_>, Vec<_>) = programs.into_iter().partition(|program| {
        let mut detectors = variant.expected.iter();
        detectors.any(|it| matches!(it, Detector::Explorer(name) if program.name == *name))
    });
    let full = expected
        .into_iter()
        .flat_map(|program| [exhaustive(program.clone()), overlapping(program)]);
    full.chain(others.into_iter().map(glance)).collect()
}

fn in_full(template: &Template) -> [Look<program::Program>; 3] {
    let of_three = Look {
        program: template.program(3),
        how: How::Probabilistic,
        budget: Budget::Schedules(SAMPLE),
    };
    let of_two = || template.program(2);
    [exhaustive(of_two()), overlapping(of_two()), of_three]
}

fn exhaustive<P>(program: P) -> Look<P> {
    Look {
        program,
        how: How::Exhaustive,
        budget: Budget::Time(EXHAUSTION),
    }
}

fn overlapping<P>(program: P) -> Look<P> {
    Look {
        program,
        how: How::Overlapping,
        budget: Budget::Schedules(SAMPLE),
    }
}

fn glance<P>(program: P) -> Look<P> {
    Look {
        program,
        how: How::Exhaustive,
        budget: Budget::Time(GLANCE),
    }
}

impl<P: Program> Look<P> {
    pub(super) fn strategy(&self, seed: Seed) -> Box<dyn Strategy> {
        match self.how {
            How::Exhaustive => Box::new(Dfs::default()),
            How::Overlapping => Box::new(Overlap::default()),
            How::Probabilistic => Box::new(Pct::new(seed, self.program.call_count(), DEPTH)),
        }
    }

    pub(super) fn describe(&self) -> String {
        let how = match self.how {
            How::Exhaustive => "dfs",
            How::Overlapping => "overlap",
            How::Probabilistic => "pct",
        };
        format!("{} {how}", self.program.name())
    }

    /// What a search that found nothing did not decide. A sample claims no more than its runs;
    /// what was to be exhaustive has to be.
    pub(super) fn left_open(&self, explored: &Exploration<P>, variant: &Variant) -> Option<String> {
        if let Some((why, times)) = explored.lost.iter().next() {
            return Some(format!("control was lost {times} times: {why}"));
        }
        let is_exhaustive = self.how == How::Exhaustive && variant.kind != Kind::Mutant;
        if explored.schedules == 0 || is_exhaustive && explored.verdict() != Verdict::Valid {
            let unchecked = explored.unchecked.keys();
            let incomplete = explored.incomplete.iter().chain(unchecked).next();
            return Some(incomplete.map_or(
                "the budget ended before the search did".into(),
                Clone::clone,
            ));
        }
        None
    }
}
