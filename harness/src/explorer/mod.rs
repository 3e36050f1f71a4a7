//! The explorer: every order in which the statements of a few requests can reach PostgreSQL.
//!
//! A [`Program`] is the same few requests on the same rows, again and again, each time under
//! another schedule. A strategy chooses, the conductor makes it so and writes down what ran, and
//! every [`Run`] is judged. What is here and pure can be tested without a database: the
//! terms, the strategies, the footprints. The rest drives a real target through the proxy's gate.

pub mod control;
pub mod execution;
pub mod run;
pub mod schedule;
pub mod transcript;

pub mod strategies;
pub mod strategy;

pub mod catalog;
pub mod footprint;
pub mod footprints;
mod syntax;

pub mod runner;
pub mod setup;

pub mod conductor;
pub mod monitor;
pub mod signal;

pub mod coverage;
pub mod place;
pub mod search;
pub mod solo;
mod worker;

pub mod follow;
pub mod replay;
pub mod shrink;
pub mod witness;

pub mod columns;
mod explain;
mod happening;
mod sql;
mod story;

pub use conductor::{Bounds, Conductor};
pub use control::{Control, LostControl};
pub use execution::{Execution, Transition};
pub use follow::{Followed, follow};
pub use footprint::Footprint;
pub use place::Place;
pub use replay::{Difference, Replayed, replay};
pub use run::{Assessment, Run};
pub use runner::Runner;
pub use schedule::{Choice, RequestIndex, Schedule, ScheduleError};
pub use search::{Exploration, Search};
pub use setup::Setup;
pub use shrink::{Shrunk, shrink};
pub use signal::Signal;
pub use solo::Solo;
pub use strategy::{Chooser, Follow, Next, Point, Strategy};
pub use transcript::{Event, Transcript};
pub use witness::{Witness, WitnessError};

#[cfg(test)]
mod toy;
