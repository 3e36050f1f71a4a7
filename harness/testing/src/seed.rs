//! The seeds of tests that generate what they try.
//!
//! Each such test has a seed of its own that never changes. `ROWLOCK_TEST_SEED` adds another, so
//! that a run which sets it from a clock tries what no run before it has tried.

use std::env;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

/// The variable that holds a seed beside the fixed ones, decimal or hexadecimal behind `0x`.
const FRESH: &str = "ROWLOCK_TEST_SEED";

/// The fixed seed of [`for_all`].
const FIXED: u64 = 0x5eed;

/// The most attempts to make a failing value smaller.
const SHRINKING: u32 = 2_000;

/// The seeds to run a test with: its own, and that of `ROWLOCK_TEST_SEED` where it is set.
///
/// Each is printed as it is taken, so that the last one printed by a test that fails is the one
/// that it failed with.
///
/// # Panics
/// Where `ROWLOCK_TEST_SEED` is no 64-bit number.
pub fn seeds(fixed: u64) -> impl Iterator<Item = u64> {
    let fresh = env::var(FRESH).ok().map(|text| match read(&text) {
        Ok(seed) => seed,
        Err(error) => panic!("{FRESH}={text:?} is no 64-bit number: {error}"),
    });
    let print = |seed: &u64| println!("seed {seed:#x}; again: {FRESH}={seed:#x}");
    [Some(fixed), fresh].into_iter().flatten().inspect(print)
}

fn read(text: &str) -> Result<u64, std::num::ParseIntError> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    }
}

/// Asks `property` of `cases` values of `strategy` for each of the [`seeds`].
///
/// # Panics
/// With the smallest value found of which `property` does not hold, and its seed.
#[track_caller]
pub fn for_all<S: Strategy>(
    cases: u32,
    strategy: &S,
    property: impl Fn(S::Value) -> TestCaseResult,
) {
    for seed in seeds(FIXED) {
        let config = Config {
            cases,
            failure_persistence: None,
            max_shrink_iters: SHRINKING,
            ..Config::default()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config, rng);
        if let Err(error) = runner.run(strategy, &property) {
            panic!("{error}\nseed {seed:#x}; again: {FRESH}={seed:#x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_seed_reads_back_as_it_is_printed() {
        assert_eq!(read(&format!("{FIXED:#x}")), Ok(FIXED));
        assert_eq!(read("32570"), Ok(32_570));
        assert!(read("0xx").is_err());
    }

    #[test]
    fn the_same_seed_draws_the_same_values() {
        let drawn = || {
            let values = RefCell::new(Vec::new());
            for_all(20, &any::<u64>(), |value| {
                values.borrow_mut().push(value);
                Ok(())
            });
            values.into_inner()
        };
        assert_eq!(drawn(), drawn());
    }

    #[test]
    #[should_panic(expected = "again: ROWLOCK_TEST_SEED=0x5eed")]
    fn a_failure_says_how_it_is_repeated() {
        for_all(100, &any::<u64>(), |value| {
            prop_assert!(value < 1_000);
            Ok(())
        });
    }
}
