//! A service that a contract describes, as a subject.
//!
//! ```text
//! subject    what rig and explorer need of it                      (crate::subject)
//!   ├─ program   rows, and actors whose stories begin at once
//!   ├─ story     an actor's calls, one after another, over HTTP
//!   ├─ template  the database with all that is done only once
//!   ├─ serial    every order of a program's calls, run alone: what is right
//!   ├─ judge     a run against those, and the contract's invariants
//!   ├─ remarks   what was not compared, and what was taken for granted
//!   └─ burst     hundreds of actors at once, against the invariants alone
//! ```
//!
//! What a contract says, and what its answers mean, is `rowlock_contract`'s; which orders explain a
//! run is `rowlock_core::serial`'s. Neither does any I/O; here it is done.

pub mod burst;
pub mod generated;
mod judge;
mod program;
mod remarks;
mod serial;
mod story;
mod subject;
mod template;

pub use judge::Left;
pub(crate) use program::seat;
pub use program::{Participant, PlannedCall, Program, programs};
pub use story::{StoryAnswer, Told};
pub use subject::{ContractSubject, Known};
