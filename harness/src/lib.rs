//! The verification harness: judges a purchase service on a real PostgreSQL.
//!
//! ```text
//!  cli ──▶ mutation  every mutant and every right service under the three below
//!      ├─▶ scenario  load: initial rows, a crowd, what must hold ──▶ trial ──▶ report
//!      ├─▶ fault     every step of a request broken in every way   (recovery: is it back?)
//!      ├─▶ hunt      which calls of a contract can conflict, and what comes of it
//!      └─▶ explorer  every order in which statements can reach the server
//!             │
//!             ▼
//!           world    a rig with its initial rows and a clock  ◀── client, crowd: who asks
//!             │
//!             ▼
//!           rig      database, proxy, target, on which all three run
//!             ├─ target          ours in this process, or any program
//!             ├─ database        the harness's own way in; bounded: no session waits for ever
//!             ├─ rows, baseline  what is put back between runs
//!             ├─ subject         what it needs of whoever is judged; shop is one
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

pub mod fault;
pub mod recovery;
pub mod scenario;
pub mod trial;
pub mod world;

pub mod environment;
pub mod rig;
pub mod rows;
pub mod shop;
pub mod subject;
mod tables;
pub mod trace;

pub mod baseline;
mod bounded;
pub mod contract;
pub mod database;
pub mod target;

pub mod client;
pub mod crowd;

pub mod progress;
pub mod report;

pub mod explorer;
pub mod hunt;
pub mod init;

pub mod mutants;
pub mod mutation;
