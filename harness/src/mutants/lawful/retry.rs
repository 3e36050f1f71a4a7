//! Trying again what gave way to others: for services that settle conflicts after the fact.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use purchase_service::purchaser::PurchaseError;

use super::super::decider::{Decision, Stop};

/// Attempts before a purchase is answered 409. One of those that collide always commits, so it
/// takes bad luck in every attempt to come to the end.
const ATTEMPTS: u32 = 200;

/// The longest wait before the next attempt.
const LONGEST_WAIT_US: u64 = 20_000;

/// Runs `attempt` until it is not a conflict.
pub(in crate::mutants) async fn retry<F>(attempt: impl Fn() -> F) -> Decision
where
    F: Future<Output = Decision>,
{
    for number in 1..ATTEMPTS {
        match attempt().await {
            Err(Stop::Failed(PurchaseError::Conflict(_))) => {}
            decision => return decision,
        }
        tokio::time::sleep(backoff(number)).await;
    }
    attempt().await
}

/// From nothing to 1 ms times the number of the attempt, spread so that purchases that collided
/// do not meet again.
fn backoff(number: u32) -> Duration {
    static TICKETS: AtomicU64 = AtomicU64::new(0);
    let ticket = TICKETS.fetch_add(1, Ordering::Relaxed);
    let spread = ticket.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let longest_us = LONGEST_WAIT_US.min(u64::from(number) * 1_000);
    Duration::from_micros((spread * longest_us) >> 32)
}
