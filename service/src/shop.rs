//! What the handlers of every route share.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderName;
use sqlx::PgPool;

use crate::admission::Admission;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::openapi;
use crate::stock::StockFeed;

/// What the handlers need.
#[derive(Debug, Clone)]
pub struct Shop {
    /// Decides purchases.
    pub(crate) admission: Arc<Admission>,
    /// Connections for plain reads.
    pub(crate) reads: PgPool,
    /// The stock as the open pages follow it.
    pub(crate) stock: Arc<StockFeed>,
    /// What `/metrics` shows.
    pub(crate) metrics: Arc<Metrics>,
    /// How long a request's body may take to arrive.
    pub(crate) body_timeout: Duration,
    /// Where the gateway says who calls; without one, the caller is trusted.
    pub(crate) user_header: Option<HeaderName>,
    /// What `/openapi.json` shows.
    pub(crate) openapi: Bytes,
}

impl Shop {
    /// A shop that sells by `admission`, shows what `reads` finds, and is otherwise as configured.
    pub fn new(
        config: &Config,
        admission: Arc<Admission>,
        reads: PgPool,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            admission,
            reads,
            stock: Arc::default(),
            metrics,
            body_timeout: Duration::from_millis(config.body_timeout_ms),
            user_header: config.trust_user_header.clone(),
            openapi: openapi::document(config.trust_user_header.as_ref()),
        }
    }
}
