//! Mutation analysis: every mutant and every lawful service under every detector.
//!
//! A harness that has never failed proves nothing. Here it must fail each mutant and pass each
//! lawful service, and before any of them the service itself. Whatever is tried is treated
//! alike: the same load, the same timeouts, the same servers; only mutants are let go as soon as
//! a detector has caught them. It knows nothing of any mutant but its name and its metadata.
//!
//! ```text
//! variant    what is tried: the service, a mutant or a lawful service
//! detector   the columns: which detectors there are
//!   loading    a scenario under a small load
//!   breaking   faults at the steps of a request
//!   exploring  programs under the explorer's strategies
//!     plan     which, how, and for how long
//!   by_contract   the last two by nothing but the shop's contract
//! detection  what one detector made of one variant
//! analysis   every variant under every detector
//! report     what came of it, and the verdict
//!   matrix, junit   the same for people and for CI systems
//! stress     how often plain load would have found each
//! ```

pub mod detection;
pub mod detector;
pub mod variant;

mod breaking;
mod by_contract;
mod exploring;
mod loading;
mod plan;

pub mod analysis;
pub mod stress;

pub mod junit;
pub mod matrix;
pub mod report;

pub use analysis::Analysis;
pub use detection::{Detected, Detection};
pub use detector::Column;
pub use report::{Report, Row, Status};
pub use variant::{Kind, Variant};
