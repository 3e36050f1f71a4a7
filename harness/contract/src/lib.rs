//! What a service says of itself, in a file `rowlock.toml`.
//!
//! ```text
//!  read        the file, with all its mistakes at once, each with line, key and what is allowed
//!    │
//!    ▼
//!  contract    what is left where there is none, and what it leaves open (left_open)
//!    ├─ service    how it starts, is made ready and stops
//!    ├─ database   what it holds, what is put back, what is not compared (where it is: address)
//!    ├─ call       requests: templates, filled in with variables (template, variables)
//!    ├─ answer     what replies mean: rules, and defaults after them
//!    ├─ source     where in a reply something stands, for captures and reasons
//!    ├─ cookies    an actor's cookie jar
//!    ├─ actor      who calls what, and which of it at once
//!    └─ invariant  what must hold: SQL, and an expression over numbers and counts (expression)
//! ```
//!
//! All of it is plain data and pure functions. It reads the file and the environment when asked to,
//! and does no other I/O: it starts nothing, opens no connection and knows no driver.

pub mod actor;
pub mod address;
pub mod answer;
pub mod call;
pub mod contract;
pub mod cookies;
pub mod database;
pub mod error;
pub mod expression;
pub mod invariant;
pub mod json_path;
mod left_open;
pub mod pattern;
mod read;
pub mod service;
pub mod source;
pub mod template;
#[cfg(test)]
mod testing;
pub mod variables;

pub use address::DatabaseAddress;
pub use answer::{Completion, Meaning, classify};
pub use call::{CallSpec, FillError};
pub use contract::Contract;
pub use cookies::CookieJar;
pub use error::{ContractError, Problem};
pub use template::Template;
pub use variables::{Value, Variables};
