//! Where `rowlock_explorer` runs a subject's programs: a database, a proxy before it, a target
//! behind that, and the clients' connections. What is run in which order, and what it shows, is the
//! crate's.

mod place;
mod setup;

pub use place::Place;
pub use rowlock_explorer::*;
use rowlock_shop::program::Program;
pub use setup::Setup;

use crate::shop::Shop;

/// A run of one of the shop's programs.
pub type Run = rowlock_explorer::Run<Program>;

/// A search of one of the shop's programs.
pub type Search = rowlock_explorer::Search<Place<Shop>>;

/// What such a search came to.
pub type Exploration = rowlock_explorer::Exploration<Program>;

/// What runs the shop's programs one after another.
pub type SerialRunner = rowlock_explorer::SerialRunner<Place<Shop>>;

/// The evidence of a violation of the shop's invariants.
pub type Witness = rowlock_explorer::Witness<Program>;

/// What shrinking leaves of one.
pub type Shrunk = rowlock_explorer::Shrunk<Program>;
