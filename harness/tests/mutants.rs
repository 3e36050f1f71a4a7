//! Every mutant sells while nobody else buys, so that only its bug can give it away; and what
//! shows without luck, shows.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of tests fails by a panic, as a test does"
)]

mod mutants_support;

use mutants_support::{close, in_turn, label, open, setting};
use rowlock::history::Request;
use rowlock::mutants::{Detector, MUTANTS};
use rowlock::shop::Shop;
use rowlock::verdict::Verdict;
use rowlock::{fault, scenario};

/// Wrong also when nothing is concurrent and nothing breaks: the scenario that shows each.
const SEQUENTIAL: &[&str] = &[];

/// A shop in which every answer is to be had, and what a right shop answers.
fn plain_day() -> (Shop, Vec<(Request, &'static str)>) {
    let shop = Shop::default()
        .item(1, 10, 2)
        .item(2, 1_000, 5)
        .item(3, 0, 1)
        .wallet(1, 100)
        .wallet(2, 15)
        .wallet(3, 10)
        .wallet(4, 10);
    let answers = vec![
        (Request::new(2, 1), "ok"),
        (Request::new(2, 2), "insufficient_balance"),
        (Request::new(1, 9), "unknown_item"),
        (Request::new(9, 1), "unknown_user"),
        (Request::new(3, 1), "ok"),
        (Request::new(4, 1), "out_of_stock"),
        (Request::new(4, 3), "ok"),
        (Request::new(1, 3), "out_of_stock"),
    ];
    (shop, answers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutant_is_right_on_a_plain_day_unless_its_bug_is_a_sequential_one() {
    for mutant in MUTANTS {
        let build = mutant.purchaser();
        let setting = setting(build).await;
        let (shop, day) = plain_day();
        let world = open(&setting, shop).await;
        let (requests, expected): (Vec<_>, Vec<_>) = day.into_iter().unzip();
        let history = in_turn(&world, requests).await;
        let answers: Vec<_> = history.iter().map(label).collect();
        let trial = close(world, history, false).await;
        let right = answers == expected && trial.verdict == Some(Verdict::Valid);
        let sequential = SEQUENTIAL.contains(&mutant.name);
        assert_eq!(
            right, !sequential,
            "{}: {answers:?} {trial:#?}",
            mutant.name
        );
    }
}

#[test]
fn every_mutant_has_a_name_of_its_own_and_a_detector_that_exists() {
    let mut names: Vec<_> = MUTANTS.iter().map(|mutant| mutant.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), MUTANTS.len());
    for mutant in MUTANTS {
        assert!(!mutant.detectors.is_empty(), "{}", mutant.name);
        for detector in mutant.detectors {
            let exists = match detector {
                Detector::Scenario(name) => scenario::find(name).is_some(),
                Detector::Fault(name) => fault::gentle_faults()
                    .iter()
                    .any(|fault| fault.column() == *name),
                Detector::Explorer(name) => !name.is_empty(),
            };
            assert!(exists, "{}: {detector:?}", mutant.name);
        }
    }
}
