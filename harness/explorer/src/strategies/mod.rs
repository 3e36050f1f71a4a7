//! The strategies, one file each.

mod bounded;
mod dfs;
mod enumeration;
mod exhaustive;
mod guided;
mod numbered;
mod observed;
mod overlap;
mod pct;
mod races;
mod random;

pub use bounded::Bounded;
pub use dfs::Dfs;
pub use exhaustive::Exhaustive;
pub use guided::{Guide, Guided, Leg};
pub use overlap::Overlap;
pub use pct::Pct;
pub use random::Random;

use super::schedule::Schedule;

/// How often in all a prefix is run that leads elsewhere than before.
const ATTEMPTS: u32 = 5;

/// Why a prefix was given up, from which place on.
fn led_elsewhere(schedule: &Schedule, place: usize) -> String {
    let choice = place + 1;
    format!("the choices {schedule} led elsewhere each time, from choice {choice} on")
}
