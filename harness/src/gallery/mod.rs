//! The gallery: every mutant and every lawful service before every detector.
//!
//! A harness that has never failed proves nothing. Here it must fail each mutant and acquit each
//! lawful service, and before any of them the service itself. Whatever is shown is treated
//! alike: the same load, the same timeouts, the same servers; only mutants are let go as soon as
//! a detector has caught them. It knows nothing of any mutant but its name and its metadata.
//!
//! ```text
//! exhibit    what is shown: the service, a mutant or a lawful service
//! detector   the columns: which detectors there are
//!   loading    a scenario under a small load
//!   breaking   faults at the steps of a request
//!   exploring  programs under the explorer's strategies
//! sighting   what one detector made of one exhibit
//! tour       every exhibit before every detector
//! report     what came of it, and the verdict
//!   matrix, junit   the same for people and for CI systems
//! stress     how often plain load would have found each
//! ```

pub mod detector;
pub mod exhibit;
pub mod sighting;

mod breaking;
mod exploring;
mod loading;

pub mod stress;
pub mod tour;

pub mod junit;
pub mod matrix;
pub mod report;

pub use detector::Column;
pub use exhibit::{Exhibit, Kind};
pub use report::{Report, Row, Standing};
pub use sighting::{Seen, Sighting};
pub use tour::Tour;
