//! What a batch is, seen from one thread.
#![cfg(not(loom))]

use std::num::NonZeroUsize;
use std::sync::Arc;

use combiner::{Combiner, Lead};
use proptest::prelude::*;

fn combiner<J>(max_batch: usize) -> Combiner<&'static str, J> {
    Combiner::new(NonZeroUsize::new(max_batch).expect("not 0"))
}

fn lead<J>(led: Option<Lead<&'static str, J>>) -> Lead<&'static str, J> {
    led.expect("nobody leads the key yet")
}

#[test]
fn a_job_alone_is_a_batch_of_one() {
    let combiner = combiner(64);
    let lead = lead(combiner.join("k", 1));
    let (batch, lead) = lead.next_batch().expect("one waits");
    assert_eq!(batch, [1]);
    assert!(lead.next_batch().is_none());
}

#[test]
fn who_comes_while_a_batch_is_under_way_shares_the_next_in_the_order_of_arrival() {
    let combiner = combiner(2);
    let (batch, lead) = lead(combiner.join("k", 1)).next_batch().unwrap();
    assert_eq!(batch, [1]);
    for job in [2, 3, 4] {
        assert!(combiner.join("k", job).is_none(), "somebody leads");
    }
    let (batch, lead) = lead.next_batch().unwrap();
    assert_eq!(batch, [2, 3]);
    let (batch, lead) = lead.next_batch().unwrap();
    assert_eq!(batch, [4]);
    assert!(lead.next_batch().is_none());
}

#[test]
fn keys_know_nothing_of_each_other() {
    let combiner = combiner(64);
    let one = lead(combiner.join("one", 1));
    let other = lead(combiner.join("other", 2));
    let (batch, one) = one.next_batch().unwrap();
    assert_eq!(batch, [1]);
    assert_eq!(other.next_batch().unwrap().0, [2]);
    assert!(one.next_batch().is_none());
}

#[test]
fn after_a_step_down_the_next_to_join_leads() {
    let combiner = combiner(64);
    let (_, done) = lead(combiner.join("k", 1)).next_batch().unwrap();
    assert!(done.next_batch().is_none());
    assert_eq!(lead(combiner.join("k", 2)).next_batch().unwrap().0, [2]);
}

#[test]
fn a_lead_that_is_dropped_drops_who_waits_and_frees_its_key() {
    let combiner = combiner(64);
    let job = Arc::new(());
    let (batch, abandoned) = lead(combiner.join("k", Arc::clone(&job)))
        .next_batch()
        .unwrap();
    assert!(combiner.join("k", Arc::clone(&job)).is_none());
    assert_eq!(combiner.waiting(), 1);
    drop(batch);
    drop(abandoned);
    assert_eq!(combiner.waiting(), 0);
    assert_eq!(Arc::strong_count(&job), 1, "the job that waited is dropped");
    assert!(combiner.join("k", job).is_some());
}

proptest! {
    /// Joins and batches in any order: batches are the jobs, in the order of arrival, cut
    /// where a batch is full or nobody else waited.
    #[test]
    fn each_job_is_in_exactly_one_batch(max in 1_usize..5, joins in proptest::collection::vec(any::<bool>(), 1..60)) {
        let combiner = combiner(max);
        let (mut led, mut next, mut done) = (None, 0, Vec::new());
        for is_join in joins {
            if is_join {
                if let Some(lead) = combiner.join("k", next) {
                    prop_assert!(led.replace(lead).is_none(), "two leads");
                }
                next += 1;
            } else if let Some(lead) = led.take()
                && let Some((batch, lead)) = lead.next_batch()
            {
                prop_assert!((1..=max).contains(&batch.len()));
                done.extend(batch);
                led = Some(lead);
            }
        }
        while let Some((batch, lead)) = led.take().and_then(Lead::next_batch) {
            done.extend(batch);
            led = Some(lead);
        }
        prop_assert_eq!(done, (0..next).collect::<Vec<_>>());
        prop_assert_eq!(combiner.waiting(), 0);
    }
}
