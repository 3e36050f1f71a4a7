//! Whether reduction sees what brute force sees, on many programs.

use std::cell::Cell;

use proptest::prelude::*;
use rowlock::explorer::strategies::{Dfs, Exhaustive};
use rowlock_testing::seed::for_all;
use tokio::sync::Mutex;

use super::{Clients, Scripts};

/// The tables that programs run on.
pub(crate) struct Tables {
    /// Makes them.
    pub(crate) schema: &'static str,
    /// Puts their rows back.
    pub(crate) reset: &'static str,
    /// The query for what is left.
    pub(crate) rows: &'static str,
}

/// Explores `cases` programs by brute force and under reduction, in fewer than `most` runs each, and
/// demands that both see the same ends; gives the runs that each took in all.
#[track_caller]
pub(crate) fn compare(
    tables: &Tables,
    cases: u32,
    programs: &impl Strategy<Value = Scripts>,
    most: u64,
) -> (u64, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let clients = Mutex::new(runtime.block_on(Clients::open(tables.schema)));
    let totals = Cell::new((0, 0));
    for_all(cases, programs, |scripts| {
        runtime.block_on(async {
            let clients = &mut *clients.lock().await;
            let Tables { reset, rows, .. } = tables;
            let mut brute = Exhaustive::default();
            let explored = clients.explore(reset, &scripts, rows, &mut brute, most);
            let (all, brute_runs) = explored.await;
            let mut reduced = Dfs::default();
            let explored = clients.explore(reset, &scripts, rows, &mut reduced, most);
            let (found, runs) = explored.await;
            let missed = all.iter().filter(|(end, _)| !found.contains_key(end));
            let missed: Vec<_> = missed.collect();
            prop_assert!(missed.is_empty(), "missed {missed:?}");
            prop_assert!(found.keys().all(|end| all.contains_key(end)));
            let incomplete = rowlock::explorer::Strategy::incomplete(&reduced);
            prop_assert!(incomplete.is_empty(), "{incomplete:?}");
            prop_assert!(brute_runs < most && runs < most, "{runs} of {brute_runs}");
            let (all_runs, reduced_runs) = totals.get();
            totals.set((all_runs + brute_runs, reduced_runs + runs));
            Ok(())
        })
    });
    let (all, reduced) = totals.get();
    println!("{all} runs by brute force, {reduced} under reduction");
    (all, reduced)
}
