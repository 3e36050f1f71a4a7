//! Where `rowlock_explorer` runs a subject's programs: a database, a proxy before it, a target
//! behind that, and the clients' connections. What is run in which order, and what it shows, is the
//! crate's.

mod limits;
mod place;
mod setup;

pub use place::Place;
pub use rowlock_explorer::*;
use rowlock_shop::program::Program;
pub use setup::Setup;

use crate::shop::Shop;

/// A run of a program, one of the shop's unless said otherwise.
pub type Run<P = Program> = rowlock_explorer::Run<P>;

/// A search of one of a subject's programs.
pub type Search<S = Shop> = rowlock_explorer::Search<Place<S>>;

/// What such a search came to.
pub type Exploration<P = Program> = rowlock_explorer::Exploration<P>;

/// What runs a subject's programs one after another.
pub type SerialRunner<S = Shop> = rowlock_explorer::SerialRunner<Place<S>>;

/// The evidence of a violation.
pub type Witness<P = Program> = rowlock_explorer::Witness<P>;

/// What shrinking leaves of one.
pub type Shrunk<P = Program> = rowlock_explorer::Shrunk<P>;
