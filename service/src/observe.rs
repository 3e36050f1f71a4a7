//! What becomes of each request: its id, its line in the log, its place in the metrics.
//!
//! One layer around all routes. It changes nothing of an answer but for the id's header, and
//! decides nothing. A request that nobody waits for any more is seen too: hyper drops its future,
//! and then the drop speaks.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tracing::{Instrument, Span};

use crate::metrics::{Metrics, RequestLabels};
use crate::problem::ProblemCode;
use crate::request_id::{RequestId, X_REQUEST_ID};

/// These routes, each of whose requests is named, logged and counted.
pub fn observed(routes: Router, metrics: Arc<Metrics>) -> Router {
    routes.layer(from_fn_with_state(metrics, observe))
}

async fn observe(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    // Of the highest level, so that whatever is logged of a request bears its id.
    let span = tracing::error_span!("request", %id);
    let observation = Observation::begin(metrics, span.clone(), &request);
    let mut response = next.run(request).instrument(span).await;
    observation.answered(&response);
    response
        .headers_mut()
        .insert(X_REQUEST_ID, id.header_value());
    response
}

/// A request under way; counted and logged when it is dropped.
struct Observation {
    metrics: Arc<Metrics>,
    span: Span,
    began: Instant,
    labels: RequestLabels,
}

impl Observation {
    fn begin(metrics: Arc<Metrics>, span: Span, request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>();
        let labels = RequestLabels {
            method: method(request.method()),
            route: route.map_or("other", MatchedPath::as_str).into(),
            status: 0,
            outcome: "unanswered",
        };
        Self {
            metrics,
            span,
            began: Instant::now(),
            labels,
        }
    }

    fn answered(mut self, response: &Response) {
        let status = response.status();
        let problem = response.extensions().get::<ProblemCode>();
        let unnamed = if status.as_u16() < 400 { "ok" } else { "other" };
        self.labels.status = status.as_u16();
        self.labels.outcome = problem.map_or(unnamed, |ProblemCode(code)| code);
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let duration = self.began.elapsed();
        self.metrics.count(&self.labels, duration);
        let _in_span = self.span.enter();
        let RequestLabels {
            method,
            route,
            status,
            outcome,
        } = &self.labels;
        let latency_us = duration.as_micros() as u64;
        tracing::info!(method, %route, status, outcome, latency_us, "served");
    }
}

/// The method's name; what HTTP does not know is `other`, since a client may invent any.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "other",
    }
}
