//! Error answers: `application/problem+json` (RFC 9457) with a stable `code`.
//!
//! The `code` is for programs, the `detail` for people; a 5xx tells the client nothing of the
//! inside, that goes to the log.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::order::Refusal;
use crate::purchaser::PurchaseError;

/// Seconds after which a refused client may come again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// What a 401 must name: who authenticates is the gateway, by its own means.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Gateway");

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) detail: String,
}

/// The code of the problem that an answer brings, for whoever counts answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProblemCode(pub(crate) &'static str);

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
        }
    }

    pub(crate) fn invalid_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    pub(crate) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// Of a read; a purchase for such a user is a [`Refusal`].
    pub(crate) fn unknown_user() -> Self {
        Self::not_found("unknown_user", "there is no such user")
    }

    pub(crate) fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "something unexpected happened; repeat with the same Idempotency-Key to learn more",
        )
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let bad_request = |code, detail| Self::new(StatusCode::BAD_REQUEST, code, detail);
        match refusal {
            Refusal::UnknownItem => bad_request("unknown_item", "there is no such item"),
            Refusal::UnknownUser => bad_request("unknown_user", "there is no such user"),
            Refusal::OutOfStock => bad_request("out_of_stock", "the item is sold out"),
            Refusal::InsufficientBalance => bad_request(
                "insufficient_balance",
                "the balance does not cover the price",
            ),
            Refusal::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "the Idempotency-Key belongs to a purchase with another payload",
            ),
        }
    }
}

impl From<PurchaseError> for Problem {
    fn from(error: PurchaseError) -> Self {
        match &error {
            PurchaseError::Conflict(_) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "purchase gave way"
                );
                Self::new(
                    StatusCode::CONFLICT,
                    "conflict",
                    "others held the rows for too long; nothing was bought",
                )
            }
            PurchaseError::Overloaded { .. } => {
                Self::unavailable("overloaded", "too many requests are waiting; come again")
            }
            PurchaseError::Busy(_) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "purchase not begun"
                );
                Self::unavailable("busy", "the purchase could not begin in time; come again")
            }
            PurchaseError::Unexpected(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "purchase failed");
                Self::internal()
            }
        }
    }
}

/// Adds what a status must bring: when to come again, or who authenticates.
pub(crate) fn add_headers(status: StatusCode, headers: &mut HeaderMap) {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => headers.insert(header::RETRY_AFTER, RETRY_AFTER),
        StatusCode::UNAUTHORIZED => headers.insert(header::WWW_AUTHENTICATE, CHALLENGE),
        _ => None,
    };
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        response.extensions_mut().insert(ProblemCode(self.code));
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        add_headers(self.status, headers);
        response
    }
}
