//! What every part of Rowlock agrees on, whatever service is judged.
//!
//! ```text
//!  seed      where every random choice of a run comes from
//!
//!  error     what an error says, with all that it comes from
//!
//!  call      an HTTP request of a service's, and the reply to it
//!     │
//!     ▼
//!  answer    what a client was told: ok, refused, gave way, or unknown
//!     │
//!     ▼
//!  universal what must hold of every service: its requests are answered, it leaves no
//!     │      transaction open, no lock, and no deadlock
//!     ▼
//!  finding   one check by name, and how it came out
//!     │
//!     ▼
//!  verdict   valid < inconclusive < violation; the worst finding decides
//!
//!  program   a few calls on a few rows, to be run in every order
//!  rows      the rows of any tables at one moment
//!  serial    whether a run is explained by the same calls one after another
//! ```
//!
//! It does no I/O and knows no table, no call and no rule of any service; what a service's own
//! rules are stands in crates like `rowlock-shop`.

pub mod answer;
pub mod call;
pub mod error;
pub mod finding;
pub mod program;
pub mod rows;
pub mod seed;
pub mod serial;
pub mod universal;
pub mod verdict;
