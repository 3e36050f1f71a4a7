//! The stock as it falls, for everybody who watches.
//!
//! Ten thousand open pages ask every few seconds. The database is asked once a second at most
//! for each page of items, however many watch: what is told may be a second old. Nothing is
//! decided by it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::order::ItemId;
use crate::reads::{self, OFFERS, ReadError, Stock};

/// How old the stock that is told may be.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Pages that are remembered at a time; more are read each time.
const MAX_PAGES: usize = 64;

/// The stock of the pages that somebody watches, each read at most once in [`MAX_AGE`].
#[derive(Debug, Default)]
pub(crate) struct StockFeed {
    pages: Mutex<BTreeMap<Option<ItemId>, Snapshot>>,
}

#[derive(Debug)]
struct Snapshot {
    /// When the database was asked, and not later.
    asked_at: Instant,
    stock: Arc<[Stock]>,
}

impl StockFeed {
    /// The stock of the items after `after`, as of a second ago at most.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(crate) async fn read(
        &self,
        pool: &PgPool,
        after: Option<ItemId>,
    ) -> Result<Arc<[Stock]>, ReadError> {
        // Held while the database is asked, so that those who come meanwhile share the answer.
        let mut pages = self.pages.lock().await;
        pages.retain(|_, snapshot| snapshot.asked_at.elapsed() < MAX_AGE);
        if let Some(snapshot) = pages.get(&after) {
            return Ok(Arc::clone(&snapshot.stock));
        }
        let asked_at = Instant::now();
        let stock: Arc<[Stock]> = reads::stock(pool, after, OFFERS).await?.into();
        if pages.len() < MAX_PAGES {
            let snapshot = Snapshot {
                asked_at,
                stock: Arc::clone(&stock),
            };
            pages.insert(after, snapshot);
        }
        Ok(stock)
    }
}
