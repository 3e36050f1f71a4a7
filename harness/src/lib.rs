//! The verification harness: judges a service on a real PostgreSQL.
//!
//! ```text
//!  cli ──▶ mutation  every mutant and every right service under the three below
//!      ├─▶ load      many at once: a crowd, a trial in numbers ──▶ report
//!      ├─▶ fault     every step of a request broken in every way   (recovery: is it back?)
//!      ├─▶ hunt      which calls of a contract can conflict, and what comes of it
//!      └─▶ explorer  every order in which statements can reach the server
//!             │                      ▲
//!             │                      │ what each needs of whoever is judged
//!             │                      ├─ shop      our own subject, with its scenarios and its service
//!             │                      └─ contract  any service that a file describes
//!             ▼
//!           rig      database, proxy, target, clients, on which all of them run
//!             ├─ target          a service in this process, any program, or as described
//!             ├─ client          one HTTP connection
//!             ├─ database        the harness's own way in; bounded: no session waits for ever
//!             ├─ rows, baseline  what is put back between runs
//!             ├─ subject         what it needs of whoever is judged
//!             ├─ isolation       the strictest level that it speaks of
//!             └─ trace           what it sends, written down where that is wanted
//!             │
//!             ▼
//!  rowlock-shop      rowlock-proxy      rowlock-postgres       crates that know nothing of this one
//!        └─▶ rowlock-core
//! ```
//!
//! What is asked of a target becomes a history, and checkers that do no I/O judge it with the rows
//! that are left. A broken rule of the target is a value ([`Finding`](rowlock_core::finding::Finding)),
//! a broken environment an error ([`EnvironmentError`](environment::EnvironmentError)). All
//! randomness comes from one [`Seed`](rowlock_core::seed::Seed).

pub mod cli;

pub mod explorer;
pub mod fault;
pub mod hunt;
pub mod init;
pub mod load;
pub mod recovery;

pub mod contract;
pub mod shop;

pub mod environment;
pub mod rig;
pub mod rows;
pub mod setting;
pub mod subject;
mod tables;
pub mod trace;

pub mod baseline;
mod bounded;
pub mod client;
pub mod database;
pub mod target;

pub mod progress;
pub mod report;

pub mod mutants;
pub mod mutation;
