//! The serial oracle: the subject, asked one call after another, is its own specification.
//!
//! The idea is Line-Up's (Burckhardt, Dern, Musuvathi and Tan, PLDI 2010): whatever a subject
//! answers and leaves when the same calls come alone and in turn is right, and what it answers and
//! leaves in no such [`Order`] is the doing of the calls' meeting. Nobody writes a model.
//!
//! ```text
//!  order     every ordered subset of the calls; the caller runs them, this crate does no I/O
//!    │
//!    ▼
//!  run       what a serial run and a concurrent one told their clients and left in the tables
//!    │
//!    ▼
//!  mask      which columns are not the calls' doing, from the same order run twice
//!    │
//!    ▼
//!  digest    what is left of the rows, in a few numbers, computed once a run
//!    │
//!    ▼
//!  oracle    a run is explained, or the nearest order, and what differs (`difference`, `sentence`)
//! ```
//!
//! A run is **explained** by an order if its calls were told the same, the rows are the same, and
//! every call that is not in it gave way, is of unknown outcome, or was never made. A call in the
//! order whose outcome the run's client does not know may have been told anything.
//!
//! A **fault** is judged by the same rule: after one broken call, the rows are those of an order
//! without it or of an order with it. `Ok` keeps it in, giving way keeps it out or changes nothing,
//! unknown may be either. What is added is [`Oracle::atomicity`]: there a refusal is no accusation,
//! since what refused it may be the fault; that nothing happened is still required.
//!
//! What it does not do: see what a subject remembers outside of its rows. The same order run twice
//! says where it does ([`Unrepeatable`]), and then nothing is claimed.

mod difference;
mod digest;
mod explanation;
mod mask;
mod oracle;
mod order;
mod run;
mod sentence;

#[cfg(test)]
mod tests;

pub use difference::{AnswerDifference, CellDifference, Nearest, Presence, RowDifference};
pub use explanation::{Explained, Explanation, UnexplainedRefusal};
pub use mask::{Mask, Unrepeatable, Why};
pub use oracle::{Compared, Oracle};
pub use order::{Atomic, CallIndex, ORDERS_LIMIT, Order, TooManyOrders, count_orders, orders};
pub use run::{Concurrent, SerialRun, Told};
