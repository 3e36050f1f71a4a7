//! The strategies, one file each.

mod bounded;
mod dfs;
mod enumeration;
mod exhaustive;
mod overlap;
mod pct;
mod random;

pub use bounded::Bounded;
pub use dfs::Dfs;
pub use exhaustive::Exhaustive;
pub use overlap::Overlap;
pub use pct::Pct;
pub use random::Random;
