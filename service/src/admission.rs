//! How many purchases may be under way.
//!
//! A purchase keeps its place until it has run to its end, also when its client has
//! left. It decides nothing about orders, nor where they run.

use std::fmt;
use std::sync::Arc;

use futures::future::FutureExt;
use prometheus_client::registry::Registry;
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
    /// Whatever the purchaser says; [`PurchaseError::Overloaded`] at once if the limit is reached.
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
        let purchase = async move {
            let _permit = permit;
            purchase.await
        };
        self.purchaser.run(purchase.boxed()).await
    }

    /// Adds what the purchaser measures to the service's metrics.
    pub(crate) fn register(&self, registry: &mut Registry) {
        self.purchaser.register(registry);
    }

    /// How many purchases are under way.
    pub(crate) fn waiting(&self) -> u32 {
        // There are never more permits than `max_waiting`.
        self.max_waiting - self.permits.available_permits() as u32
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

#[cfg(test)]
mod tests {
    use futures::future::{BoxFuture, FutureExt};
    use tokio::sync::Notify;

    use super::*;
    use crate::order::{ItemId, Refusal, UserId};

    const ORDER: Order = Order {
        user_id: UserId(1),
        item_id: ItemId(1),
    };

    /// Refuses when it is told to, and panics for user 13.
    #[derive(Default)]
    struct Clerk {
        begun: Notify,
        go: Notify,
    }

    impl Purchaser for Clerk {
        fn purchase(
            self: Arc<Self>,
            order: Order,
            _key: Option<IdempotencyKey>,
        ) -> BoxFuture<'static, Result<Outcome, PurchaseError>> {
            async move {
                assert_ne!(order.user_id, UserId(13), "user 13 is bad luck");
                self.begun.notify_one();
                self.go.notified().await;
                Ok(Err(Refusal::OutOfStock))
            }
            .boxed()
        }
    }

    fn admission(max_waiting: u32) -> (Arc<Clerk>, Arc<Admission>) {
        let clerk = Arc::new(Clerk::default());
        (
            Arc::clone(&clerk),
            Arc::new(Admission::new(clerk, max_waiting)),
        )
    }

    #[tokio::test]
    async fn purchase_beyond_the_limit_is_overloaded_before_it_begins() {
        let (clerk, admission) = admission(1);
        let first = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { admission.purchase(ORDER, None).await }
        });
        clerk.begun.notified().await;
        let second = admission.purchase(ORDER, None).await;
        assert!(
            matches!(second, Err(PurchaseError::Overloaded { max_waiting: 1 })),
            "{second:?}"
        );
        clerk.go.notify_one();
        assert_eq!(first.await.unwrap().unwrap(), Err(Refusal::OutOfStock));
        admission.drained().await;
    }

    #[tokio::test]
    async fn purchase_goes_on_without_its_client_and_drained_waits_for_it() {
        let (clerk, admission) = admission(2);
        let client = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { admission.purchase(ORDER, None).await }
        });
        clerk.begun.notified().await;
        client.abort();
        assert!(client.await.unwrap_err().is_cancelled());
        assert!(admission.drained().now_or_never().is_none());
        clerk.go.notify_one();
        admission.drained().await;
    }

    #[tokio::test]
    async fn panic_is_unexpected_and_gives_its_place_back() {
        let (_clerk, admission) = admission(1);
        let order = Order {
            user_id: UserId(13),
            ..ORDER
        };
        let outcome = admission.purchase(order, None).await;
        assert!(
            matches!(outcome, Err(PurchaseError::Unexpected(_))),
            "{outcome:?}"
        );
        admission.drained().await;
    }
}
