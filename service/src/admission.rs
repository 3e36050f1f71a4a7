//! How many purchases may be under way, and where they run.
//!
//! One idea: a purchase that has been admitted runs to its end on a task of its own. A client
//! that hangs up makes hyper drop the handler's future; the purchase does not notice.
//! It decides nothing about orders.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::order::{IdempotencyKey, Order};
use crate::purchaser::{Outcome, PurchaseError, Purchaser};

/// Admits purchases up to a limit.
pub struct Admission {
    purchaser: Arc<dyn Purchaser>,
    permits: Arc<Semaphore>,
    max_waiting: u32,
}

impl Admission {
    /// Admits at most `max_waiting` purchases at a time, waiting ones included.
    pub fn new(purchaser: Arc<dyn Purchaser>, max_waiting: u32) -> Self {
        Self {
            purchaser,
            permits: Arc::new(Semaphore::new(max_waiting as usize)),
            max_waiting,
        }
    }

    /// Has the order decided.
    ///
    /// # Errors
    /// Whatever the purchaser says; [`PurchaseError::Overloaded`] at once if the limit is reached;
    /// [`PurchaseError::Unexpected`] if the purchaser panicked.
    pub async fn purchase(
        &self,
        order: Order,
        key: Option<IdempotencyKey>,
    ) -> Result<Outcome, PurchaseError> {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return Err(PurchaseError::Overloaded {
                max_waiting: self.max_waiting as usize,
            });
        };
        let purchase = Arc::clone(&self.purchaser).purchase(order, key);
        let task = tokio::spawn(async move {
            let _permit = permit;
            purchase.await
        });
        task.await
            .unwrap_or_else(|panic| Err(PurchaseError::Unexpected(panic.into())))
    }

    /// Waits until no purchase is under way, also none whose client has left.
    pub async fn drained(&self) {
        // An error would say that the semaphore is closed; nothing closes it.
        let _all = self.permits.acquire_many(self.max_waiting).await;
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("max_waiting", &self.max_waiting)
            .finish_non_exhaustive()
    }
}
