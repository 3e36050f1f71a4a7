//! The routes, and what each outcome answers.
//!
//! It reads requests, asks, and writes answers; it decides nothing and holds no SQL.

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use crate::caller::Caller;
use crate::metrics;
use crate::order::{ItemId, UserId};
use crate::page;
use crate::problem::Problem;
use crate::reads::{self, ReadError};
use crate::request;
use crate::shop::Shop;

/// The routes of the shop.
///
/// | request | answers |
/// |---|---|
/// | `POST /api/purchase`, with or without a last `/` | the receipt |
/// | `GET /api/items?after=ID` | `{"items": [{"id", "name", "price", "stock"}], "next": ID or null}`, by id, at most 1,000 after `ID` |
/// | `GET /api/items/{id}` | `{"id", "name", "price", "stock"}` |
/// | `GET /api/wallets/{user_id}` | `{"user_id", "balance"}` |
/// | `GET /healthz` | `{"status": "ok"}` if the database answers |
/// | `GET /metrics` | the service's metrics, in Prometheus's text format |
/// | `GET /openapi.json` | all this for machines |
///
/// [The page](crate::page) has routes of its own beside them. Every error is `application/problem+json`, except what hyper itself refuses as not HTTP.
pub fn router(shop: Shop) -> Router {
    Router::new()
        .route("/api/purchase", post(purchase))
        .route("/api/purchase/", post(purchase))
        .route("/api/items", get(items))
        .route("/api/items/{id}", get(item))
        .route("/api/wallets/{user_id}", get(wallet))
        .route("/healthz", get(health))
        .route("/metrics", get(show_metrics))
        .route("/openapi.json", get(show_openapi))
        .merge(page::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(shop)
}

async fn purchase(
    State(shop): State<Shop>,
    caller: Caller,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let (order, key) = request::read(request, shop.body_timeout).await?;
    caller.authorize(order.user_id)?;
    let receipt = shop.admission.purchase(order, key).await??;
    Ok(Json(receipt).into_response())
}

async fn items(State(shop): State<Shop>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let after = match query.as_deref() {
        None | Some("") => None,
        Some(query) => Some(
            query
                .strip_prefix("after=")
                .and_then(|id| id.parse().ok())
                .ok_or_else(|| {
                    Problem::invalid_request("the only query parameter is after=ID, an integer")
                })?,
        ),
    };
    Ok(Json(reads::items(&shop.reads, after.map(ItemId)).await?).into_response())
}

async fn item(State(shop): State<Shop>, id: PathId) -> Result<Response, Problem> {
    let id = ItemId(path_id(id)?);
    let item = reads::item(&shop.reads, id).await?;
    let item = item.ok_or_else(|| Problem::not_found("unknown_item", "there is no such item"))?;
    Ok(Json(item).into_response())
}

async fn wallet(State(shop): State<Shop>, caller: Caller, id: PathId) -> Result<Response, Problem> {
    let user_id = UserId(path_id(id)?);
    caller.authorize(user_id)?;
    let wallet = reads::wallet(&shop.reads, user_id).await?;
    let wallet = wallet.ok_or_else(Problem::unknown_user)?;
    Ok(Json(wallet).into_response())
}

async fn health(State(shop): State<Shop>) -> Result<Response, Problem> {
    match reads::health(&shop.reads).await {
        Ok(()) => Ok(Json(json!({"status": "ok"})).into_response()),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "not healthy");
            Err(Problem::unavailable(
                "database_unavailable",
                "the database does not answer",
            ))
        }
    }
}

async fn show_metrics(State(shop): State<Shop>) -> Response {
    metrics::answer(shop.metrics.text())
}

async fn show_openapi(State(shop): State<Shop>) -> Response {
    ([(CONTENT_TYPE, "application/json")], shop.openapi).into_response()
}

async fn not_found() -> Problem {
    Problem::not_found("not_found", "there is nothing at this path")
}

async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "the Allow header names the methods of this path",
    )
}

type PathId = Result<Path<i64>, PathRejection>;

fn path_id(id: PathId) -> Result<i64, Problem> {
    id.map(|Path(id)| id)
        .map_err(|_| Problem::invalid_request("the id in the path is not a 64-bit integer"))
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match &error {
            ReadError::Acquire(_) | ReadError::Silent => {
                tracing::warn!(error = &error as &dyn std::error::Error, "read not served");
                Self::unavailable("busy", "the database is busy; come again")
            }
            ReadError::Statement(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "read failed");
                Self::internal()
            }
        }
    }
}
