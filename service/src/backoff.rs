//! How long a purchase that gave way waits before it is tried again.
//!
//! The jitter needs no random numbers: a counter, spread by a multiplicative hash, is enough for
//! those who collided to come back at different times.

use std::time::Duration;

/// The shortest wait before the first retry, and the width of its window, in microseconds.
const BASE_US: u64 = 4096;

/// The wait before retry number `retry`, from 0: 4 to 8 ms, then twice that, and again.
///
/// Purchases that collided hold different tickets, and wait differently long.
pub(crate) fn backoff(retry: u32, ticket: u64) -> Duration {
    // Fibonacci hashing: the upper 12 bits of ticket * 2^64/phi.
    let spread = ticket.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
    Duration::from_micros((BASE_US + spread) << retry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_and_is_spread_over_its_window() {
        let waits: Vec<_> = (0..64)
            .map(|ticket| backoff(0, ticket).as_micros() as u64)
            .collect();
        assert!(
            waits
                .iter()
                .all(|wait| (BASE_US..2 * BASE_US).contains(wait)),
            "{waits:?}"
        );
        let mut quarters = [0; 4];
        for wait in waits {
            quarters[(wait - BASE_US) as usize * 4 / BASE_US as usize] += 1;
        }
        assert!(quarters.iter().all(|count| *count >= 8), "{quarters:?}");
        assert_eq!(backoff(2, 7), backoff(0, 7) * 4);
    }
}
