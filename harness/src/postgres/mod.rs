//! A real PostgreSQL for a run: made for it, or lent by whoever runs one.
//!
//! Three providers stand behind one [`Server`]: `container` (a Docker engine), `local` (an
//! installed PostgreSQL's own programs) and `url` (a server that is there). Whatever a provider
//! makes is taken away when its `Server` is dropped, also on a panic.
//!
//! It makes empty databases; what is in them is the caller's. It keeps no connection and no
//! pool, so that one server may serve several tokio runtimes.

mod server;
mod settings;
mod shared;

mod container;
mod engine;
mod owner;

mod account;
mod binaries;
mod children;
mod local;
mod program;

mod url;

mod access;
mod error;

pub use access::Database;
pub use error::{ServerError, StartError};
pub use server::{Server, StopMode};
pub use settings::{Provider, Settings};
pub use shared::{fresh_database, shared_local};
