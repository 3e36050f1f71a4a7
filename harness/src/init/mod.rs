//! The first contract of a service: what can be found out, with a comment where it cannot.
//!
//! ```text
//! discover  how the service is started, from the files beside it; its DATABASE_URL
//! openapi   its calls, from the document of a running one
//! write     both as a commented contract
//! ```
//!
//! What it writes is a contract that reads, and never claims to be right: calibration says where it
//! is not.

mod discover;
mod openapi;
mod write;

pub use discover::{Found, discover};
pub use openapi::{Operation, PATHS, operations};
pub use write::contract;
