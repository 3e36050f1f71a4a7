//! A real PostgreSQL for a run: made for it, or lent by whoever runs one.
//!
//! [`Settings`] say what is wanted and from which of three providers; a [`Server`] is one face
//! for all of them, and makes empty databases. Whatever was made is taken away when the `Server`
//! is dropped, also on a panic, and when the process is killed.
//!
//! ```text
//!                 ┌─▶ container  a Docker engine    engine, owner: whose containers are whose
//!  Settings ─▶ Server ─▶ local   installed programs binaries, account: where, and as whom
//!                 └─▶ url        a server that is there
//!                    │           ▲
//!                    │           └ program, children: one process and what it started
//!                    ├─▶ Database: a name and its URL        access: how one gets in
//!                    └─▶ stop_with, start_again: a crash as the server's clients see it
//!
//!  survey   which of the three could be used, without starting one
//!  shared   one local server for all tests of a process
//!  signals  removes the containers of a program that a signal kills
//!  Janitor  cleans up however the process ends        Port  a port that nobody else takes
//!     └ gate  what it watches does not run before it does
//! ```
//!
//! In a test, [`fresh_database`] is all that is needed; `examples/throwaway.rs` shows the rest.
//!
//! What is in a database is the caller's affair. It keeps no connection and no pool, so that one
//! server may serve several tokio runtimes.

mod server;
mod settings;
mod shared;
mod survey;

mod container;
mod engine;
mod owner;
mod signals;
mod template;

mod account;
mod binaries;
mod children;
mod local;
mod program;

mod url;

mod access;
mod error;

mod gate;
mod janitor;
mod port;

pub use access::Database;
pub use error::{ServerError, StartError};
pub use janitor::Janitor;
pub use port::Port;
pub use server::{Server, StopMode};
pub use settings::{Provider, Settings};
pub use shared::{fresh_database, shared_local};
pub use survey::{Surveyed, survey};
