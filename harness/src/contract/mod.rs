//! A service that a contract describes, as a subject.
//!
//! ```text
//! subject    what rig and explorer need of it                      (crate::subject)
//!   ├─ program   rows, and actors whose stories begin at once
//!   ├─ story     an actor's calls, one after another, over HTTP
//!   ├─ template  the database with all that is done only once
//!   ├─ known     the actors on one rig, ready to begin
//!   ├─ reading   what is read of the database
//!   ├─ serial    every order of a program's calls, run alone: what is right
//!   │    └─ calibration   what must be so of each story alone
//!   ├─ judge     a run against those, and the contract's invariants
//!   │    └─ keys   a repeat under a key against those
//!   ├─ remarks   what was not compared, and what was taken for granted
//!   └─ burst     hundreds of actors at once, against the invariants alone
//! faults     what a campaign of faults breaks of it, and holds it to  (crate::fault::stories)
//!   └─ seat      the names of its stories
//! ```
//!
//! What a contract says, and what its answers mean, is `rowlock_contract`'s; which orders explain a
//! run is `rowlock_core::serial`'s. Neither does any I/O; here it is done.

pub mod burst;
mod calibration;
mod faults;
pub mod generated;
mod judge;
mod keys;
mod known;
mod program;
mod reading;
mod remarks;
mod seat;
mod serial;
mod story;
mod subject;
mod template;

pub use faults::{ContractStories, StoryRequest};
pub use judge::Left;
pub use known::Known;
pub(crate) use program::seat;
pub use program::{Participant, PlannedCall, Program, programs};
pub use seat::Seat;
pub use serial::Expected;
pub use story::{StoryAnswer, Told};
pub use subject::ContractSubject;
