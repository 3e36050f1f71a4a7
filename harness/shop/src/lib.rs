//! The shop: items with a stock, wallets with a balance, and what must hold of purchases.
//!
//! ```text
//!  rows       initial and final rows, typed          history   requests and their answers
//!     │                                                 │
//!     ├────────────────────┬────────────────────────────┤
//!     ▼                    ▼                            ▼
//!  model               linearizability              invariant
//!  the shop again,     whether a history fits       what must hold after
//!  sequential, pure    some order of the model      every run
//!     └────────────────────┴─────────────┬──────────────┘
//!                                        ▼
//!                                   judgement: all of it
//!
//!  program    a few requests that are worth every interleaving
//!  wire       a purchase as an HTTP call, and what a reply says of it
//! ```
//!
//! All of it is pure: no I/O, no clock, no randomness. It does not know where a history comes
//! from, and never sees a statement.

pub mod generated;
pub mod history;
pub mod invariant;
pub mod judgement;
pub mod linearizability;
pub mod model;
pub mod program;
pub mod rows;
mod tables;
pub mod wire;
