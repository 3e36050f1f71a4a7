//! What the service counts, in the words of Prometheus.
//!
//! What happens is counted as it happens, what *is* (orders, connections) is looked up
//! when somebody asks. Each label has a few values that the program itself knows, so that no
//! request can make a new series: an unknown path is `other`, and so is an unknown method.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use sqlx::PgPool;

use crate::admission::Admission;

/// What every metric's name begins with.
const PREFIX: &str = "shop";

/// Upper bounds of the latencies' buckets: from 0.5 ms, each twice the one before, to 32.8 s,
/// which is longer than a purchase waits for its connection.
pub(crate) fn latencies() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 17))
}

/// One request, as it is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) method: &'static str,
    /// The route's pattern, or `other`.
    pub(crate) route: Arc<str>,
    /// `0` where the client left unanswered.
    pub(crate) status: u16,
    /// `ok`, or the problem's code.
    pub(crate) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabels {
    pool: &'static str,
    state: &'static str,
}

/// The service's metrics.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabel, Histogram>,
    orders_waiting: Gauge,
    connections: Family<PoolLabels, Gauge>,
    admission: Arc<Admission>,
    pools: [(&'static str, PgPool); 2],
}

impl Metrics {
    /// Metrics of a service that admits purchases by `admission`, and has these two pools.
    pub fn new(admission: Arc<Admission>, purchases: PgPool, reads: PgPool) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        admission.register(&mut registry);
        let requests = Family::default();
        registry.register(
            "requests",
            "Requests by route and outcome",
            requests.clone(),
        );
        let durations = Family::new_with_constructor(latencies as fn() -> Histogram);
        registry.register(
            "request_duration_seconds",
            "Time from a request's head to its answer",
            durations.clone(),
        );
        let orders_waiting = Gauge::default();
        registry.register(
            "orders_waiting",
            "Orders that are admitted and not decided yet",
            orders_waiting.clone(),
        );
        let connections = Family::default();
        registry.register(
            "pool_connections",
            "Open database connections by pool and state",
            connections.clone(),
        );
        Self {
            registry,
            requests,
            durations,
            orders_waiting,
            connections,
            admission,
            pools: [("purchases", purchases), ("reads", reads)],
        }
    }

    /// Counts a request that has come to its end.
    pub(crate) fn count(&self, labels: &RequestLabels, duration: Duration) {
        let route = RouteLabel {
            route: Arc::clone(&labels.route),
        };
        let durations = self.durations.get_or_create(&route);
        durations.observe(duration.as_secs_f64());
        self.requests.get_or_create(labels).inc();
    }

    /// All of them in Prometheus's text format, as of now.
    pub(crate) fn text(&self) -> String {
        self.orders_waiting.set(self.admission.waiting().into());
        for (pool, connections) in &self.pools {
            let idle = connections.num_idle() as i64;
            // The two are read one after the other; meanwhile a connection may be closed.
            let in_use = (i64::from(connections.size()) - idle).max(0);
            for (state, count) in [("in_use", in_use), ("idle", idle)] {
                let labels = PoolLabels { pool, state };
                self.connections.get_or_create(&labels).set(count);
            }
        }
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry).expect("a String takes all");
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// The answer that Prometheus reads.
pub(crate) fn answer(text: String) -> Response {
    ([(CONTENT_TYPE, prometheus_text::CONTENT_TYPE)], text).into_response()
}
