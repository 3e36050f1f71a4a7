//! The one source of everything random in a run.

use std::fmt;
use std::str::FromStr;

use rand::{SeedableRng, TryRng};
use rand_chacha::ChaCha8Rng;
use serde::{Serialize, Serializer};

/// A run's seed, printed with every report; the same seed makes the same choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// A new seed from the operating system, for a run that was given none.
    ///
    /// # Panics
    /// When the operating system has no random numbers.
    pub fn from_entropy() -> Self {
        let drawn = rand::rngs::SysRng.try_next_u64();
        Seed(drawn.expect("the operating system has random numbers"))
    }

    /// A generator for one purpose: independent of the others, and of their order of use.
    pub fn rng(self, purpose: &str) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.0);
        rng.set_stream(fnv1a(purpose.as_bytes()));
        rng
    }
}

/// FNV-1a, 64 bits: stable over platforms and releases, which `std::hash` does not promise.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

impl FromStr for Seed {
    type Err = String;

    /// Takes a decimal number, or a hexadecimal one behind `0x`, as the report prints it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => text.parse(),
        };
        number
            .map(Seed)
            .map_err(|error| format!("seed {text:?} is no 64-bit number (decimal or 0x…): {error}"))
    }
}

impl Serialize for Seed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn a_printed_seed_reads_back() {
        let seed = Seed(0x7f3a);
        assert_eq!(seed.to_string().parse(), Ok(seed));
        assert_eq!("32570".parse(), Ok(seed));
    }

    #[test]
    fn the_same_purpose_draws_the_same_numbers_and_another_draws_others() {
        let draw = |purpose| Seed(1).rng(purpose).next_u64();
        assert_eq!(draw("victims"), draw("victims"));
        assert_ne!(draw("victims"), draw("hang-ups"));
    }
}
