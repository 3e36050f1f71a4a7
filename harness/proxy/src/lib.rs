//! A proxy between a program and PostgreSQL that sees every step, and can hold or break any.
//!
//! It accepts the program's connections, opens one to the server for each, and forwards the raw
//! bytes both ways. A decoded copy tells it where steps begin and end, so that a [`Trace`] can
//! record them and a [`Gate`] can decide about them; with neither, bytes pass as they come.
//!
//! ```text
//!             ┌────────────────────── Proxy ──────────────────────┐
//!   program ──┤ bytes ─▶ is a step whole? ─▶ gate: deliver, hold, │──▶ PostgreSQL
//!             │                                replace or refuse  │
//!   program ◀─┤ gate: pass, hold or drop ◀─ is a reply whole? ◀── │◀── PostgreSQL
//!             └──────────┬────────────────────────────────────────┘
//!                        └─▶ trace: one Record for each step and its reply
//!
//! listen   accepts, one task per connection         control  the handle from outside
//! startup  packets before the session               gate     decisions about steps
//! pump     moves bytes between sockets              trace    records of steps
//!   passage  what waits, and what the gate lets go  step     the terms of both
//!   lane     bytes on their way in one direction
//! session  the protocol of one connection; pure
//!   frame     finds messages in the bytes           message  reads them (pgwire)
//!   assembly  a step coming in                      reply    the answer to it
//!   memory    prepared statements and portals       value    values as text
//! verb     what a statement does                    words    the words of an SQL text
//! isolation what sessions say of isolation levels
//! ```
//!
//! A *step* is what a program sends in one go: a simple Query, or a batch up to its Sync. Start
//! a [`Proxy`], point the program at its address, and give its [`Control`] a [`Recording`] to see
//! the steps, or a [`gate::channel`] to decide about each. `examples/trace.rs` prints them.
//!
//! It does not speak TLS, does not pool, and never changes a byte on its own account. It knows no
//! program: whose steps these are, and what they are good for, is its user's affair.

mod assembly;
mod control;
mod early;
mod frame;
pub mod gate;
pub mod isolation;
mod lane;
mod listen;
mod memory;
mod message;
mod passage;
mod pump;
mod reply;
mod session;
mod startup;
mod step;
mod stream;
mod trace;
mod value;
mod verb;
mod words;

pub use control::{Control, SessionInfo};
pub use gate::{Decision, Gate, ReplyAction, RequestAction, SessionEvent};
pub use listen::Proxy;
pub use step::{
    ErrorResponse, Reply, ReplyEnd, SessionId, Statement, StatementResult, Step, StepId, StepKind,
    TransactionState, Value,
};
pub use stream::Address;
pub use trace::{Record, Recording, Trace, TraceForm, TraceWriter};
pub use verb::Verb;
