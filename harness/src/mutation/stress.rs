//! How often plain load would have found a mutant: the number that says what an explorer is for.

use std::time::Duration;

use tokio::time::timeout;

use super::analysis::{Analysis, PATIENCE};
use super::loading::load;
use super::report::Tries;
use super::variant::Variant;
use crate::progress::Progress;
use crate::setting::Setting;
use crate::shop::scenario::{Load, ScenarioName};

/// How many buyers, and how often they try.
pub const CROWDS: [(usize, u64); 2] = [(200, 20), (2_000, 3)];

/// The stock that they fight for.
const STOCK: i64 = 100;

/// How long a try may take. Purchases take milliseconds: whoever loads a shop that has not answered
/// for so long has noticed that it hangs.
pub(super) const BOUND: Duration = Duration::from_secs(10);

impl Analysis<'_> {
    /// Runs `concurrent-buyers` on `variant` again and again, and counts the violations
    /// and the hangs.
    pub async fn stress(&self, variant: &Variant) -> Vec<Tries> {
        let mut all = Vec::new();
        for (buyers, tries) in CROWDS {
            let mut caught = 0;
            for number in 1..=tries {
                let name = variant.name();
                self.progress
                    .say(format!("{name} under {buyers} buyers: {number} of {tries}"));
                caught += u64::from(self.try_once(variant, buyers).await);
            }
            all.push(Tries {
                buyers,
                tries,
                caught,
            });
        }
        all
    }

    async fn try_once(&self, variant: &Variant, buyers: usize) -> bool {
        let target = variant.target(self.rowlock);
        let hidden = Progress::hidden();
        let setting = Setting {
            server: self.server,
            target: &target,
            target_env: Vec::new(),
            seed: self.seed,
            patience: PATIENCE,
            progress: &hidden,
            trace: None,
        };
        let much = Load {
            buyers,
            stocks: vec![STOCK],
            max_conflicts: None,
        };
        let trying = load(&setting, &much, ScenarioName::ConcurrentBuyers);
        let tried = timeout(BOUND, trying).await;
        tried.map_or(true, |detection| detection.is_caught())
    }
}
