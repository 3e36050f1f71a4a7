//! The verification harness: judges a purchase service on a real PostgreSQL.
//!
//! Data flows one way. A [`scenario`] opens a [`world`] (a database of a server from `rowlock_postgres` and
//! a [`target`] on it), lets [`client`]s buy, and gathers their operations into a [`history`].
//! The [`invariant`]s judge history and final rows; a [`report`] says what held and what was
//! not verified. The checkers do no I/O, and all randomness comes from one [`seed`].

pub mod cli;

pub mod fault;
pub mod recovery;
pub mod scenario;
pub mod trial;
pub mod world;

pub mod environment;
mod probe;
pub mod rig;
mod rows;

mod baseline;
mod bounded;
pub mod database;
pub mod isolation;
pub mod target;

mod buyer;
pub mod client;
pub mod crowd;

pub mod progress;
pub mod report;

pub mod explorer;

pub mod gallery;
pub mod mutants;
