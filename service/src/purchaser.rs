//! What the HTTP layer asks of whatever decides purchases.
//!
//! One trait, so that other ways to purchase can stand behind the same HTTP layer. It says
//! nothing of databases; how a purchase is made is its implementor's affair.

use std::error::Error;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use prometheus_client::registry::Registry;

use crate::order::{IdempotencyKey, Order, Receipt, Refusal};

/// What the shop decided: bought, or refused with nothing changed.
pub type Outcome = Result<Receipt, Refusal>;

/// Whatever stopped the work, for the log.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Decides orders.
pub trait Purchaser: Send + Sync + 'static {
    /// Buys one unit for the order, at most once for each key.
    ///
    /// The future owns all that it needs: it may be spawned, and outlive the request.
    ///
    /// # Errors
    /// A [`PurchaseError`] when nothing could be decided.
    fn purchase(
        self: Arc<Self>,
        order: Order,
        key: Option<IdempotencyKey>,
    ) -> BoxFuture<'static, Result<Outcome, PurchaseError>>;

    /// Adds what it measures of its own to the service's metrics; nothing unless it says what.
    fn register(&self, _registry: &mut Registry) {}

    /// Runs a purchase for as long as it must run, whoever waits for it.
    ///
    /// When a client hangs up, hyper drops the handler's future, and with it this one. On a task
    /// of its own the purchase does not notice: no statement is cut off, and no connection is
    /// left behind inside a transaction. A purchaser that is safe to drop at every await may run
    /// it in place instead.
    ///
    /// # Errors
    /// Whatever the purchase says; [`PurchaseError::Unexpected`] if it panicked.
    fn run(
        &self,
        purchase: BoxFuture<'static, Result<Outcome, PurchaseError>>,
    ) -> BoxFuture<'static, Result<Outcome, PurchaseError>> {
        let task = tokio::spawn(purchase);
        async move {
            let done = task.await;
            done.unwrap_or_else(|panic| Err(PurchaseError::Unexpected(panic.into())))
        }
        .boxed()
    }
}

/// Why an order was not decided.
#[derive(Debug, thiserror::Error)]
pub enum PurchaseError {
    /// Others held the rows through every retry; nothing happened. Answered by 409.
    #[error("gave way to other purchases too often")]
    Conflict(#[source] BoxError),
    /// As many requests as are allowed are already waiting; nothing began. Answered by 503.
    #[error("{max_waiting} requests are already waiting")]
    Overloaded {
        /// The limit that was reached.
        max_waiting: usize,
    },
    /// No database connection could be had in time; nothing began. Answered by 503.
    #[error("no database connection in time")]
    Busy(#[source] BoxError),
    /// Anything else. Nothing happened, unless it was the COMMIT itself that went unanswered.
    /// Answered by 500.
    #[error("the purchase failed")]
    Unexpected(#[source] BoxError),
}
