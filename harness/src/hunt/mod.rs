//! The hunt: which stories of a contract can meet, and what comes of it.
//!
//! ```text
//! candidates   pairs (triples) of stories, and the rows they begin from      from the contract
//!     │
//! story        each story alone, through the proxy: what its steps touch     one run each
//!     │
//! relation     can they meet at all? why not?   ──▶ cannot conflict
//!     │
//! suspicion    where it looks wrong, and lock orders that could deadlock
//!     │
//! hunter       explored: the suspicious schedules first, then dfs            within the budget
//!     │
//! report       what became of each
//! ```
//!
//! What looks suspicious is only where to look first. Nobody is accused but by a run that no serial
//! order explains, and nobody is cleared but by every schedule, or because no step of one story depends
//! on a step of another. What a service keeps outside its database is not in the traces.

mod candidates;
mod hunter;
mod lock_order;
mod relation;
mod report;
mod story;
mod suspicion;

pub use hunter::{Hunter, Plan, Planned};
pub use lock_order::LockOrder;
pub use relation::Relation;
pub use report::{Ended, Group, HuntReport, NamedLockOrder, Violated};
pub use story::StoryTrace;
pub use suspicion::{Kind, Suspicion, Suspicions};
